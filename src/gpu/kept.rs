//! Files that make later starts quicker. Whatever is wrong with one, it is as if it were not there.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::Path;

/// The bytes of a file of at most `limit`.
pub fn read(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= limit);
    if small { std::fs::read(path).ok() } else { None }
}

/// Under another name first: no reader ever sees half a file. That it cannot be written is only
/// logged.
pub fn write(path: &Path, parts: &[&[u8]]) {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.persist(path)?;
        Ok(())
    };
    if let Err(error) = written() {
        log::warn!("{}: not kept for later starts: {error}", path.display());
    }
}

/// Tells damage, and one device from another. Another version of Rust may hash otherwise, which
/// costs one slow start.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
