//! What goes to standard output.

use std::io::{self, Write as _};
use std::process::ExitCode;

use pentimento::{Error, Result};

/// Prints `text`. A reader that has seen enough (`| head`) ends the program quietly.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|source| Error::Io {
            action: "write",
            path: "standard output".into(),
            source,
        }),
    }
}

/// Prints `report` as indented JSON and a newline.
pub fn print_json(report: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report).map_err(|source| Error::Io {
        action: "write",
        path: "the JSON report".into(),
        source: source.into(),
    })?;
    print(&(text + "\n"))
}

/// The exit code of a command that failed for `failures` of its inputs.
pub fn exit_code(failures: usize) -> ExitCode {
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Bytes for a person.
pub fn bytes(n: usize) -> String {
    let n = n as f64;
    match n {
        n if n >= 1e9 => format!("{:.2} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n if n >= 1e3 => format!("{:.1} kB", n / 1e3),
        n => format!("{n} bytes"),
    }
}
