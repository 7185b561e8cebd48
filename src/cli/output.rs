//! What people and programs read: standard output, errors, progress.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use pentimento::{Error, Result};

/// Prints `text` as [`plain`] leaves it. A reader that has seen enough (`| head`) ends the program
/// quietly.
pub fn print(text: &str) -> Result<()> {
    let text = plain(text);
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

/// `text` without anything that a terminal would obey: a file's names and texts may hold escape
/// sequences, and characters that turn the direction of writing.
pub fn plain(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        let turns = matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        );
        turns || c.is_control() && !matches!(c, '\n' | '\t')
    };
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match obeyed(c) {
            true => plain.extend(c.escape_unicode()),
            false => plain.push(c),
        }
    }
    plain.into()
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

/// Writes `text` to `path`, whole or not at all.
///
/// # Errors
/// [`Error::Io`] names the file.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".pentimento-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(|error| io(error.kind().into()))?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// Options by the words that the library's sentences use for them, and the flags that set them.
const FLAGS: [(&str, &str); 2] = [("precision f32", "--precision"), ("memory budget", "--memory")];

/// `sentence` of the library with the flags of the options that it names.
pub fn with_flags(sentence: &str) -> String {
    let flags: Vec<&str> = (FLAGS.iter())
        .filter(|(option, flag)| sentence.contains(option) && !sentence.contains(flag))
        .map(|(_, flag)| *flag)
        .collect();
    if flags.is_empty() {
        sentence.to_owned()
    } else {
        format!("{sentence} ({})", flags.join(", "))
    }
}

/// The message of `error`, which names `input`: most begin with their file, the others get its name.
pub fn about(input: &Path, error: &impl std::fmt::Display) -> String {
    let (text, name) = (with_flags(&error.to_string()), input.display().to_string());
    if text.contains(&name) { text } else { format!("{name}: {text}") }
}

/// A progress bar of this template, hidden where it is not wanted or standard error is no terminal.
pub fn progress(quiet: bool, template: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
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

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(plain("a\tb\n×2"), "a\tb\n×2");
        assert_eq!(plain("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(plain("\u{202e}txt"), "\\u{202e}txt");
    }
}
