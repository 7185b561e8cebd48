//! Files that appear whole or not at all, even when the power goes.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

const PREFIX: &str = ".pentimento-";
/// Characters that follow the prefix of a temporary name, at random.
const RANDOM: usize = 6;

/// Writes `bytes` to `path`: under another name in the same folder, which is then renamed. What
/// [takes a stream](takes_stream) is written to as it is.
///
/// # Errors
/// [`Error::Io`] when the folder is missing or not writable, `path` is a folder, or the disk is
/// full.
pub fn write_whole(bytes: &[u8], path: &Path) -> Result<()> {
    if takes_stream(path) {
        let file = File::options().append(true).open(path);
        return file.and_then(|mut file| file.write_all(bytes)).map_err(|e| fail(path, e));
    }
    let mut file = Unfinished::new(path)?;
    file.file().write_all(bytes).map_err(|e| fail(path, e))?;
    file.finish()
}

/// The result of waiting for a disk, where its file system can. Some have no such call.
///
/// # Errors
/// Those of file systems that can.
pub fn where_possible(synced: std::io::Result<()>) -> std::io::Result<()> {
    match synced {
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => Ok(()),
        result => result,
    }
}

/// Whether at `path` there is a device, a pipe or a socket, such as `/dev/null`, or a name for what
/// the program has open, such as `/dev/stdout`. A file must not take its place.
pub fn takes_stream(path: &Path) -> bool {
    let is_device = || ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    std::fs::metadata(path).is_ok_and(|there| {
        let is_ordinary = there.is_file() || there.is_dir();
        !is_ordinary || (there.is_file() && path.is_symlink() && is_device())
    })
}

/// A file that gets its name when it is finished, and is removed when it is dropped before.
pub struct Unfinished {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Unfinished {
    /// A file that will have the name `path`.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub fn new(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(fail(path, ErrorKind::IsADirectory.into()));
        }
        if takes_stream(path) {
            return Err(fail(path, std::io::Error::other("it is a device or a pipe, not a file")));
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut options = tempfile::Builder::new();
        options.prefix(PREFIX).rand_bytes(RANDOM);
        // Opened here: tempfile's own message would name the temporary file, and its permissions are
        // "owner only", where other new files have what the umask leaves.
        let new = |name: &Path| File::options().read(true).write(true).create_new(true).open(name);
        let file = options.make_in(folder, new).map_err(|e| fail(path, e))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// What is written goes here.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Where it is until then, for another program that writes it.
    pub fn temporary(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name, in place of one that had it.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub fn finish(self) -> Result<()> {
        self.sync()?;
        let Self { file, path } = self;
        file.persist(&path).map_err(|e| fail(&path, e.error))?;
        Ok(())
    }

    /// Waits until the disk has what was written. Otherwise the name may reach it first, and a loss
    /// of power leaves an empty file of that name.
    fn sync(&self) -> Result<()> {
        where_possible(self.file.as_file().sync_all()).map_err(|e| fail(&self.path, e))
    }

    /// Gives the file its name, unless another has it by now.
    ///
    /// # Errors
    /// As [`write_whole`], and when there is a file of this name.
    pub fn finish_new(self) -> Result<()> {
        self.sync()?;
        let Self { file, path } = self;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Err(fail(&path, e.error)),
            // Some file systems cannot do both at once.
            Err(e) if path.symlink_metadata().is_err() => Self { file: e.file, path }.finish(),
            Err(e) => Err(fail(&path, e.error)),
        }
    }
}

/// Whether a file of this name is what was left of a file that was never finished, because the
/// program was killed.
pub fn is_unfinished(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    random.is_some_and(|r| r.len() == RANDOM && r.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn fail(path: &Path, source: std::io::Error) -> Error {
    Error::Io { action: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_has_a_name_of_its_own_and_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let names = || -> Vec<String> {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        let mut file = Unfinished::new(&path).unwrap();
        file.file().write_all(b"half").unwrap();
        let [name] = names().try_into().unwrap();
        assert!(is_unfinished(&name), "{name}");
        drop(file);
        assert_eq!(names(), [""; 0]);
        write_whole(b"whole", &path).unwrap();
        assert_eq!(names(), ["a.png"]);
        for other in ["a.png", ".pentimento.jsonl", ".pentimento-", ".pentimento-a.b.c."] {
            assert!(!is_unfinished(other), "{other}");
        }
    }
}
