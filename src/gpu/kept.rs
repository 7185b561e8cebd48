//! Files that make later starts quicker. Whatever is wrong with one, it is as if it were not there.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Device;

/// Larger tables than this are none of ours.
const MAX_TABLE: u64 = 1 << 20;

/// What was found out about one device and driver: a file of its own, by names.
#[derive(Debug)]
pub struct Table<V> {
    path: PathBuf,
    values: BTreeMap<String, V>,
}

impl<V: Clone + Serialize + DeserializeOwned> Table<V> {
    /// The table `name` of `device` in `folder`. A file that is damaged counts as none.
    pub fn open(device: &Device, folder: &Path, name: &str) -> Self {
        let of = format!("{} {}", device.info(), env!("CARGO_PKG_VERSION"));
        Self::read(folder.join(format!("{name}-{:016x}.json", hash(of.as_bytes()))))
    }

    fn read(path: PathBuf) -> Self {
        let bytes = read(&path, MAX_TABLE).unwrap_or_default();
        Self { path, values: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// What was noted under `key`.
    pub fn get(&self, key: &str) -> Option<V> {
        self.values.get(key).cloned()
    }

    /// Notes `value` under `key`, in place of an earlier one.
    pub fn note(&mut self, key: &str, value: V) {
        self.values.insert(key.to_owned(), value);
    }

    /// Writes the table. That it cannot be written is only logged.
    pub fn keep(&self) {
        if let Ok(text) = serde_json::to_vec_pretty(&self.values) {
            write(&self.path, &[&text]);
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_count_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("table.json");
        let mut table: Table<usize> = Table::read(path.clone());
        assert_eq!(table.get("a"), None);
        table.note("a", 2);
        table.keep();
        assert_eq!(Table::read(path.clone()).get("a"), Some(2_usize));
        for text in ["", "{", "[1]", "{\"a\": -1}", "{\"a\": \"b\"}"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Table::<usize>::read(path.clone()).get("a"), None, "{text}");
        }
    }
}
