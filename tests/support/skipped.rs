//! What was not tested: `tools/test` counts it.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that the calling test, or a part of it, is left out, and why. The file that the environment
/// variable `PENTIMENTO_SKIPPED` names gets a line `test: why`.
pub fn skip(why: impl Display) {
    eprintln!("skipped: {why}");
    let Some(path) = std::env::var_os("PENTIMENTO_SKIPPED") else { return };
    let line = format!("{}: {why}\n", std::thread::current().name().unwrap_or("a test"));
    // One write, so that lines of several programs do not mix.
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
