//! `bindgen INPUT.wasm FOLDER NAME`: makes the ES module and the declarations of a crate that uses
//! wasm-bindgen.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder, name] = &arguments[..] else {
        bail!("bindgen INPUT.wasm FOLDER NAME");
    };
    let folder = Path::new(folder);
    let mut bindgen = Bindgen::new();
    // The module finds the WebAssembly file beside it.
    bindgen.omit_default_module_path(false);
    let ready = bindgen.input_path(input).out_name(name).typescript(true).web(true)?;
    ready.generate(folder)?;
    let path = folder.join(format!("{name}.d.ts"));
    let declarations = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("{DISPOSABLE}{}", without_raw_exports(&declarations)?))?;
    Ok(())
}

/// Declares `Symbol.dispose` for whoever compiles for an older standard.
const DISPOSABLE: &str = "/// <reference lib=\"esnext.disposable\" />\n";

/// Declarations without the WebAssembly file's own exports, which nobody calls and whose names
/// contain positions that change with every build.
fn without_raw_exports(declarations: &str) -> Result<String> {
    const START: &str = "export interface InitOutput {\n    readonly memory: WebAssembly.Memory;\n";
    let (before, exports) = declarations.split_once(START).context("there is no InitOutput")?;
    let (_, after) = exports.split_once("}\n").context("InitOutput does not end")?;
    Ok(format!("{before}{START}}}\n{after}"))
}
