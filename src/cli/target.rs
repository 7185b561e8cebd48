//! Where a result may go: never over a file of the user.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use pentimento::photo::{Unfinished, takes_stream};
use pentimento::{Error, Result};

use super::journal::{Journal, whole};

/// What is at the place of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Free,
    /// A result that the journal knows.
    Ours,
    /// Another file, which --force gave up.
    GivenUp {
        link: bool,
    },
}

/// Whether a result may be written to `path`.
///
/// # Errors
/// [`Error::Image`] when there is a file that `journal` does not know and `force` is not asked for;
/// [`Error::Io`] when the place cannot be looked at.
pub fn check(path: &Path, journal: Option<&Journal>, force: bool) -> Result<Place> {
    // Of a link, the link itself counts.
    let there = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Place::Free),
        // A file where a folder should be: making the folder says it better.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(Place::Free),
        Err(source) => return Err(Error::Io { action: "look at", path: path.to_owned(), source }),
    };
    let link = there.is_symlink();
    if there.is_dir() {
        return Err(Error::Image { path: path.to_owned(), what: "is a folder".to_owned() });
    }
    // Nor is it ever replaced: other programs wait at its other end.
    if !link && !there.is_file() {
        let what = "is a device or a pipe, not a file; choose another output".to_owned();
        return Err(Error::Image { path: path.to_owned(), what });
    }
    if !link && journal.is_some_and(|journal| journal.is_ours(path)) {
        return Ok(Place::Ours);
    }
    if force {
        return Ok(Place::GivenUp { link });
    }
    let kind = if link { "a link" } else { "a file" };
    Err(Error::Image {
        path: path.to_owned(),
        what: format!(
            "there is {kind} of this name that no run is known to have written; choose another \
             output, or let --force replace it"
        ),
    })
}

impl Place {
    /// What a person should know of it.
    pub fn note(self) -> Option<String> {
        match self {
            Place::Free | Place::Ours => None,
            Place::GivenUp { link: false } => {
                Some("the result replaced a file that no run is known to have written".to_owned())
            }
            Place::GivenUp { link: true } => Some(
                "the result replaced a symbolic link; the file that it led to is as it was"
                    .to_owned(),
            ),
        }
    }

    /// Writes `bytes` to `path`, whole or not at all, and where the place was free over nothing
    /// that came there meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(self, bytes: &[u8], path: &Path) -> Result<()> {
        let mut file = Unfinished::new(path)?;
        let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
        file.file().write_all(bytes).map_err(io)?;
        self.finish(file)
    }

    /// Gives a file that was written its name.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(self, file: Unfinished) -> Result<()> {
        if self == Place::Free { file.finish_new() } else { file.finish() }
    }
}

/// Whether a report or page at `path` is a file of its own, none of `others` with their names.
///
/// # Errors
/// [`Error::Io`] says what it would replace.
pub fn check_apart(path: &Path, others: &[(&Path, &str)]) -> Result<()> {
    if takes_stream(path) {
        return Ok(());
    }
    let place = whole(path);
    // Names first: paths of a whole album take their time.
    let same = |other: &Path| other.file_name() == place.file_name() && whole(other) == place;
    let Some((_, name)) = others.iter().find(|(other, _)| same(other)) else { return Ok(()) };
    let what = format!("it would replace {name} of this run; choose another name");
    Err(Error::Io { action: "write", path: path.to_owned(), source: std::io::Error::other(what) })
}

/// Whether the report or page at `path` may be written: it has a folder, and what is there begins as
/// one that was written before, or `force` is asked for.
///
/// # Errors
/// [`Error::Io`] says why not.
pub fn check_report(path: &Path, begin: &[u8], force: bool) -> Result<()> {
    let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let other = |what: String| io(std::io::Error::other(what));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let what = format!("there is no folder {}; create it first", folder.display());
        return Err(other(what));
    }
    if path.is_dir() {
        return Err(other("it is a folder".to_owned()));
    }
    if takes_stream(path) {
        return Ok(());
    }
    let mut start = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(begin.len() as u64).read_to_end(&mut start).map_err(io)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Tried before the work, not after it.
            return Unfinished::new(path).map(|_| ());
        }
        Err(error) => return Err(io(error)),
    };
    if force || start == begin || start.is_empty() {
        return Unfinished::new(path).map(|_| ());
    }
    Err(other(
        "there is another file of this name; choose another, or let --force replace it".into(),
    ))
}
