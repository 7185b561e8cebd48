//! Compiling and running C and C++ programs against the library of this build.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "../../../tests/support/skipped.rs"]
mod skipped;

pub use skipped::skip;

#[allow(dead_code)] // every test binary uses its own part
#[path = "../../../tests/support/faults.rs"]
pub mod faults;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A face model of 32×32 pixels.
pub fn model() -> PathBuf {
    root().join("tests/goldens/mmrbnet/default_32/checkpoint.safetensors")
}

/// Where this build's libraries and programs are.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.parent().expect("the folder deps").to_owned()
}

/// The command line's program; `None`, and says so, where only this package was built.
pub fn command_line() -> Option<PathBuf> {
    let program = built().with_file_name(format!("pentimento{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        skip(format_args!("{} was not built", program.display()));
        return None;
    }
    Some(program)
}

/// Whether `program` is there; says so otherwise.
pub fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        skip(format_args!("there is no {program}"));
    }
    there
}

/// Which library a program is linked with.
#[derive(Clone, Copy)]
pub enum Library {
    Shared,
    Static,
}

/// Compiles `source` to `program` with every warning an error; `None`, and says so, where there is
/// no compiler.
pub fn compile(source: &Path, program: &Path, library: Library) -> Option<()> {
    if !cfg!(target_os = "linux") {
        skip("the tests know the linker's options for Linux only");
        return None;
    }
    let cpp = source.extension().is_some_and(|e| e == "cpp");
    let (compiler, standard) = if cpp { ("c++", "-std=c++14") } else { ("cc", "-std=c99") };
    if !has(compiler) {
        return None;
    }
    let mut command = Command::new(compiler);
    command.args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-pthread"]);
    command.arg("-I").arg(root().join("include")).arg(source).arg("-o").arg(program);
    match library {
        Library::Shared => {
            let folder = built();
            command.arg(folder.join("libpentimento_c.so"));
            command.arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        Library::Static => {
            command.arg(built().join("libpentimento_c.a")).args(["-ldl", "-lm", "-lgcc_s"]);
        }
    }
    let output = command.output().expect("the compiler runs");
    assert!(output.status.success(), "{}", text(&output));
    Some(())
}

pub fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{out}{err}", output.status)
}

/// Runs `command`, which must succeed, and returns what it printed.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

/// A PPM file with a pattern.
pub fn ppm(path: &Path, width: usize, height: usize) {
    let value = |i: usize| ((i * 7 + i / (3 * width) * 13) % 256) as u8;
    let mut file = format!("P6\n{width} {height}\n255\n").into_bytes();
    file.extend((0..width * height * 3).map(value));
    std::fs::write(path, file).expect("the picture can be written");
}
