//! What a folder of results already holds, so that a broken run goes on where it ended.
//!
//! `.pentimento.jsonl` in that folder has one line per result. A result counts as there when its
//! line names the same input (path, length, time of change) and the same options, and the file has
//! the length that was written. A torn last line, as a crash leaves it, is ignored.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use pentimento::photo::is_unfinished;
use pentimento::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::inputs::Job;

const NAME: &str = ".pentimento.jsonl";

/// The journal of a folder, locked.
pub struct Journal {
    path: PathBuf,
    file: File,
    options: String,
    lines: HashMap<String, Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    input: String,
    stamp: Stamp,
    options: String,
    output: String,
    output_bytes: u64,
    done: Value,
}

/// What tells a file from its later versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u128,
}

impl Stamp {
    /// That of the file at `path`; `None` where there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(Self { bytes: metadata.len(), modified })
    }
}

impl Journal {
    /// Opens the journal of `folder` for a run with `options`, and removes what a broken run left
    /// unfinished there and in `folders`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written, or another run writes to this folder.
    pub fn open(folder: &Path, folders: &[PathBuf], options: String) -> Result<Self> {
        let path = folder.join(NAME);
        let io = |source| Error::Io { action: "write", path: path.clone(), source };
        let mut open = OpenOptions::new();
        let mut file = open.read(true).append(true).create(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                return Err(io(std::io::Error::other("another run writes to this folder")));
            }
            // A file system without locks: two runs at a time are then the user's affair.
            Ok(()) | Err(fs::TryLockError::Error(_)) => {}
        }
        for folder in folders.iter().map(PathBuf::as_path).chain([folder]) {
            remove_unfinished(folder);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let mut lines = HashMap::new();
        for line in bytes.split(|&byte| byte == b'\n') {
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                lines.insert(line.output.clone(), line);
            }
        }
        if bytes.last().is_some_and(|&last| last != b'\n') {
            file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(b"\n")).map_err(io)?;
        }
        Ok(Self { path, file, options, lines })
    }

    /// What was reported of a job, where its result is there.
    pub fn done(&self, job: &Job) -> Option<&Value> {
        let line = self.lines.get(&text(&job.output))?;
        let same = line.input == text(&job.input)
            && line.options == self.options
            && Some(line.stamp) == Stamp::of(&job.input)
            && fs::metadata(&job.output).is_ok_and(|output| output.len() == line.output_bytes);
        same.then_some(&line.done)
    }

    /// Notes that the result of `job`, whose input was `stamp` before it was read, is there.
    ///
    /// # Errors
    /// [`Error::Io`] when the journal cannot be written.
    pub fn note(&mut self, job: &Job, stamp: Stamp, done: Value) -> Result<()> {
        let io = |source| Error::Io { action: "write", path: self.path.clone(), source };
        let output_bytes = fs::metadata(&job.output).map_err(io)?.len();
        let (input, output) = (text(&job.input), text(&job.output));
        let options = self.options.clone();
        let line = Line { input, stamp, options, output, output_bytes, done };
        let mut json = serde_json::to_vec(&line).map_err(|error| io(error.into()))?;
        json.push(b'\n');
        self.file.write_all(&json).map_err(io)?;
        self.lines.insert(line.output.clone(), line);
        Ok(())
    }
}

/// A path as JSON can hold it. Names that are no Unicode may become one: their results are then
/// taken for missing, since the times of their inputs differ.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Removes results that a broken run had not finished. What cannot be removed stays.
fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_unfinished) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(folder: &Path) -> Job {
        let job = Job { input: folder.join("a.png"), output: folder.join("out.png") };
        fs::write(&job.input, "input").unwrap();
        fs::write(&job.output, "result").unwrap();
        job
    }

    fn open(folder: &Path, options: &str) -> Journal {
        Journal::open(folder, &[], options.to_owned()).unwrap()
    }

    #[test]
    fn what_is_done_stays_done_until_input_options_or_result_change() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(folder.path());
        let mut journal = open(folder.path(), "x");
        assert!(journal.done(&job).is_none());
        let stamp = Stamp::of(&job.input).unwrap();
        journal.note(&job, stamp, Value::from(7)).unwrap();
        assert_eq!(journal.done(&job), Some(&Value::from(7)));
        drop(journal);
        assert_eq!(open(folder.path(), "x").done(&job), Some(&Value::from(7)));
        assert!(open(folder.path(), "y").done(&job).is_none(), "other options");
        fs::write(&job.output, "half").unwrap();
        assert!(open(folder.path(), "x").done(&job).is_none(), "another result");
        fs::write(&job.output, "result").unwrap();
        fs::write(&job.input, "another input").unwrap();
        assert!(open(folder.path(), "x").done(&job).is_none(), "another input");
    }

    #[test]
    fn torn_lines_and_unfinished_results_go() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(folder.path());
        let mut journal = open(folder.path(), "x");
        journal.note(&job, Stamp::of(&job.input).unwrap(), Value::Null).unwrap();
        drop(journal);
        let path = folder.path().join(NAME);
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"input\": \"/torn");
        fs::write(&path, text).unwrap();
        fs::write(folder.path().join(".pentimento-abc123"), "half a picture").unwrap();
        let mut journal = open(folder.path(), "x");
        assert!(journal.done(&job).is_some());
        assert!(!folder.path().join(".pentimento-abc123").exists());
        let other = Job { output: folder.path().join("a.png"), ..job.clone() };
        journal.note(&other, Stamp::of(&other.input).unwrap(), Value::Null).unwrap();
        drop(journal);
        let journal = open(folder.path(), "x");
        assert!(journal.done(&job).is_some() && journal.done(&other).is_some());
    }

    #[test]
    fn two_runs_do_not_write_to_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), "x");
        let second = Journal::open(folder.path(), &[], "x".to_owned()).map(|_| ());
        assert!(second.unwrap_err().to_string().contains("another run"));
        drop(first);
        open(folder.path(), "x");
    }
}
