//! `pentimento-convert IN...`, which is `pentimento convert IN...`.
//!
//! A binary of the root package and not of this folder's: the converter's library cannot depend on
//! the engine, which reads checkpoints through it, and the engine's recogniser is the only one.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    arguments.insert(arguments.len().min(1), "convert".into());
    pentimento::cli::main(arguments)
}
