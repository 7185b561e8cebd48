//! What a folder of results already holds, so that a broken run goes on where it ended, and which
//! files there are results that may be replaced.
//!
//! `.pentimento.jsonl` in that folder has one line per result, and one before it is written. A
//! result counts as there when its line names the same input (path, length, time of change) and the
//! same options, and the file has the length that was written. A file counts as ours when it has
//! the digest of a line. Inputs are known by their whole path, however it was spelt, results by
//! their path in this folder. A torn last line, as a crash leaves it, is ignored.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use pentimento::photo::{is_unfinished, where_possible};
use pentimento::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::inputs::Job;

/// The name of the journal in its folder.
pub const NAME: &str = ".pentimento.jsonl";

/// The journal of a folder, locked.
pub struct Journal {
    path: PathBuf,
    /// The folder, whole.
    folder: PathBuf,
    file: File,
    options: String,
    lines: HashMap<String, Line>,
    /// What was about to be written.
    begun: HashMap<String, Digest>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    input: String,
    stamp: Stamp,
    options: String,
    output: String,
    digest: Digest,
    done: Value,
}

#[derive(Serialize, Deserialize)]
struct Begun {
    begun: String,
    digest: Digest,
}

/// What tells the bytes of a result from any others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Digest {
    bytes: u64,
    sha256: String,
}

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: bytes.len() as u64, sha256 }
    }

    /// That of a whole file, which is read from its begin.
    ///
    /// # Errors
    /// As reading.
    pub fn of_file(file: &mut File) -> std::io::Result<Self> {
        let mut sum = Sha256::new();
        let mut part = vec![0; 1 << 16];
        let mut bytes = 0;
        file.seek(SeekFrom::Start(0))?;
        loop {
            let read = file.read(&mut part)?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            sum.update(&part[..read]);
        }
        let sha256 = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { bytes, sha256 })
    }

    /// A name for what has it.
    pub fn name(&self) -> String {
        self.sha256.chars().take(16).collect()
    }
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
        // A pipe would never answer, and a link leads to a file of somebody else.
        if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
            let what = "results are noted there, but it is not a file; remove it, or choose \
                        another output folder";
            return Err(io(std::io::Error::other(what)));
        }
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
        let (mut lines, mut begun) = (HashMap::new(), HashMap::new());
        for line in bytes.split(|&byte| byte == b'\n') {
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                lines.insert(line.output.clone(), line);
            } else if let Ok(line) = serde_json::from_slice::<Begun>(line) {
                begun.insert(line.begun, line.digest);
            }
        }
        if bytes.last().is_some_and(|&last| last != b'\n') {
            file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(b"\n")).map_err(io)?;
        }
        Ok(Self { folder: whole(folder), path, file, options, lines, begun })
    }

    /// What was reported of a job, where its result is there.
    pub fn done(&self, job: &Job) -> Option<&Value> {
        let line = self.lines.get(&self.name(&job.output))?;
        let same = line.input == text(&whole(&job.input))
            && line.options == self.options
            && Some(line.stamp) == Stamp::of(&job.input)
            && fs::metadata(&job.output).is_ok_and(|output| output.len() == line.digest.bytes);
        same.then_some(&line.done)
    }

    /// Whether the file at `output` is a result as it was written.
    pub fn is_ours(&self, output: &Path) -> bool {
        let name = self.name(output);
        let known: Vec<&Digest> = self
            .lines
            .get(&name)
            .map(|line| &line.digest)
            .into_iter()
            .chain(self.begun.get(&name))
            .collect();
        let Ok(metadata) = fs::metadata(output) else { return false };
        known.iter().any(|digest| digest.bytes == metadata.len())
            && File::open(output)
                .and_then(|mut file| Digest::of_file(&mut file))
                .is_ok_and(|digest| known.contains(&&digest))
    }

    /// Notes that a result with this digest is about to be written, so that it is known for one
    /// even when the run is broken off before [`Self::note`].
    ///
    /// # Errors
    /// [`Error::Io`] when the journal cannot be written.
    pub fn begin(&mut self, output: &Path, digest: &Digest) -> Result<()> {
        let begun = Begun { begun: self.name(output), digest: digest.clone() };
        self.append(&begun)?;
        // Else a loss of power may leave a result that no line knows, and later runs refuse it.
        where_possible(self.file.sync_data()).map_err(|source| Error::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })?;
        self.begun.insert(begun.begun, begun.digest);
        Ok(())
    }

    /// Notes that the result of `job`, whose input was `stamp` before it was read, was written.
    ///
    /// # Errors
    /// [`Error::Io`] when the journal cannot be written.
    pub fn note(&mut self, job: &Job, stamp: Stamp, digest: Digest, done: Value) -> Result<()> {
        let (input, output) = (text(&whole(&job.input)), self.name(&job.output));
        let options = self.options.clone();
        let line = Line { input, stamp, options, output, digest, done };
        self.append(&line)?;
        self.begun.remove(&line.output);
        self.lines.insert(line.output.clone(), line);
        Ok(())
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let io = |source| Error::Io { action: "write", path: self.path.clone(), source };
        let mut json = serde_json::to_vec(line).map_err(|error| io(error.into()))?;
        json.push(b'\n');
        self.file.write_all(&json).map_err(io)
    }

    /// The path of a result in this folder.
    fn name(&self, output: &Path) -> String {
        // Of a result that is a link, the link itself counts.
        let parent = whole(output.parent().unwrap_or(Path::new("")));
        let path = output.file_name().map_or_else(|| parent.clone(), |name| parent.join(name));
        text(path.strip_prefix(&self.folder).unwrap_or(&path))
    }
}

/// The paths in `folder` of all results that its journal knows; none without a journal.
pub fn results_in(folder: &Path) -> HashSet<PathBuf> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Known {
        Line { output: PathBuf },
        Begun { begun: PathBuf },
    }
    let path = folder.join(NAME);
    // In a stranger's folder it may be a pipe, or lead to a device without an end.
    if !path.symlink_metadata().is_ok_and(|there| there.is_file()) {
        return HashSet::new();
    }
    let bytes = fs::read(path).unwrap_or_default();
    let lines = bytes.split(|&byte| byte == b'\n');
    let known = lines.filter_map(|line| serde_json::from_slice(line).ok());
    known
        .map(|known| match known {
            Known::Line { output } => output,
            Known::Begun { begun } => begun,
        })
        .collect()
}

/// The path from the root, through no link; as good as it can be told for one that is not there.
pub fn whole(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    match (path.parent(), path.file_name()) {
        // A folder that is not made yet.
        (Some(parent), Some(name)) if parent != path => whole(parent).join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
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
        journal.note(&job, stamp, Digest::of(b"result"), Value::from(7)).unwrap();
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
        let digest = Digest::of(b"result");
        journal.note(&job, Stamp::of(&job.input).unwrap(), digest, Value::Null).unwrap();
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
        let digest = Digest::of(b"input");
        journal.note(&other, Stamp::of(&other.input).unwrap(), digest, Value::Null).unwrap();
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

    #[test]
    fn only_what_was_written_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(folder.path());
        let mut journal = open(folder.path(), "x");
        assert!(!journal.is_ours(&job.output));
        journal.begin(&job.output, &Digest::of(b"result")).unwrap();
        assert!(journal.is_ours(&job.output), "written, and broken off before it was noted");
        drop(journal);
        let mut journal = open(folder.path(), "y");
        assert!(journal.is_ours(&job.output));
        let stamp = Stamp::of(&job.input).unwrap();
        journal.note(&job, stamp, Digest::of(b"result"), Value::Null).unwrap();
        assert!(journal.is_ours(&job.output));
        fs::write(&job.output, "edited").unwrap();
        assert!(!journal.is_ours(&job.output), "of the same length");
        assert!(!journal.is_ours(&job.input));
        assert_eq!(results_in(folder.path()), HashSet::from([PathBuf::from("out.png")]));
    }

    #[test]
    #[cfg(unix)]
    fn paths_are_known_however_they_are_spelt() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let first = job(root);
        let mut journal = open(root, "x");
        let stamp = Stamp::of(&first.input).unwrap();
        journal.note(&first, stamp, Digest::of(b"result"), Value::Null).unwrap();
        fs::create_dir(root.join("there")).unwrap();
        std::os::unix::fs::symlink(root, root.join("link")).unwrap();
        for root in [root.join("there/.."), root.join("link"), root.join(".")] {
            let job = Job { input: root.join("a.png"), output: root.join("out.png") };
            assert!(journal.done(&job).is_some() && journal.is_ours(&job.output), "{job:?}");
        }
    }
}
