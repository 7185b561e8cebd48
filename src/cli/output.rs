//! What people and programs read: standard output, errors, progress.
//!
//! Names of files and the texts in them are strangers' words: what could steer a terminal in them
//! is shown as an escape such as `\u{1b}`, never sent.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pentimento::{Error, Result};

/// Whether a terminal would act on this character, or show text in another order for it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
        )
}

/// `text` with every character that [`steers`], but those of `kept`, as `escape` writes it.
fn escaped<'a>(text: &'a str, kept: &[char], escape: fn(char) -> String) -> Cow<'a, str> {
    let harmful = |c: char| steers(c) && !kept.contains(&c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if harmful(c) { escape(c) } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// `text` on one line, without anything that steers a terminal.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, &[], |c| c.escape_unicode().to_string())
}

/// The name of a file for a person.
pub fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}

/// Prints `text`, which may have several lines. A reader that has seen enough (`| head`) ends the program quietly.
pub fn print(text: &str) -> Result<()> {
    let text = escaped(text, &['\n', '\t'], |c| c.escape_unicode().to_string());
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
    // The same characters as JSON escapes them, so that it stays JSON.
    let text = escaped(&text, &['\n'], |c| format!("\\u{:04x}", u32::from(c)));
    print(&format!("{text}\n"))
}

/// Says on standard error what failed.
pub fn print_error(error: &impl std::fmt::Display) {
    eprintln!("error: {}", one_line(&with_flags(&error.to_string())));
}

/// Says on standard error what a person should know.
pub fn print_note(note: &impl std::fmt::Display) {
    eprintln!("note: {}", one_line(&note.to_string()));
}

/// Writes `text` to `path`, whole or not at all.
///
/// # Errors
/// [`Error::Io`] names the file.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    pentimento::photo::write_whole(text.as_bytes(), path)
}

/// Options by the words that the library's sentences use for them, and the flags that set them.
const FLAGS: [(&str, &str); 6] = [
    ("choose another device", "--device"),
    ("choose one page", "--page"),
    ("precision f32", "--precision"),
    ("memory budget", "--memory"),
    ("the quality", "--quality"),
    ("the matte", "--matte"),
];

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

/// Lets `bar` move while nothing happens. A bar that nobody sees needs no thread for that.
pub fn tick(bar: &ProgressBar) {
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
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
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_not_sent() {
        let name = Path::new("a\u{1b}]0;title\u{7}\n\u{9b}2J\u{202E}gnp.é写");
        assert_eq!(shown(name), "a\\u{1b}]0;title\\u{7}\\u{a}\\u{9b}2J\\u{202e}gnp.é写");
        let json = serde_json::to_string(&"\u{1b}\u{9b}").unwrap();
        let json = escaped(&json, &['\n'], |c| format!("\\u{:04x}", u32::from(c)));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "\u{1b}\u{9b}");
    }
}
