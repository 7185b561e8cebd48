//! The command line, whose code is the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pentimento::cli::main(std::env::args_os())
}
