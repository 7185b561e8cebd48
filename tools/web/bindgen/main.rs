//! `bindgen INPUT.wasm FOLDER NAME`: makes the ES module and the declarations of a crate that uses
//! wasm-bindgen.

use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder, name] = &arguments[..] else {
        eprintln!("bindgen INPUT.wasm FOLDER NAME");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    // The module finds the WebAssembly file beside it.
    bindgen.omit_default_module_path(false);
    let ready = bindgen.input_path(input).out_name(name).typescript(true).web(true);
    match ready.and_then(|bindgen| bindgen.generate(Path::new(folder))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
