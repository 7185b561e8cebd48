//! PyTorch's format before 1.6: a stream of pickles followed by the storages.
//!
//! Magic number, protocol version, a description of the machine, the object, the list of storage
//! keys; then for each key its element count (`i64`) and its elements.

use std::collections::HashMap;

use crate::{
    blob::Blob,
    cursor::Cursor,
    detect::LEGACY_MAGIC,
    error::{Error, Place, Result, short},
    options::Options,
    pickle::{self, Pickle},
    torch::{self, Storage},
    value::Value,
};

/// Version that every PyTorch so far has written.
const PROTOCOL_VERSION: u64 = 1001;

/// The storages of a legacy checkpoint, by key.
pub(crate) struct Legacy(HashMap<String, Blob>);

impl Legacy {
    /// Reads the stream in `file`, whose storages then share `blob`, the owner of these bytes.
    pub fn read<'f>(blob: &Blob, file: &'f [u8], options: &Options) -> Result<(Self, Pickle<'f>)> {
        let mut at = 0;
        let mut next = || -> Result<Pickle<'f>> {
            let rest = file.get(at..).unwrap_or_default();
            let pickle = pickle::read(rest, place(at), options)?;
            at += pickle.length;
            Ok(pickle)
        };
        let magic = next()?;
        if !matches!(magic.values.get(magic.root), Value::Long(n) if *n == LEGACY_MAGIC) {
            return Err(legacy("it does not start with the magic number"));
        }
        let version = next()?;
        if version.values.as_u64(version.root) != Some(PROTOCOL_VERSION) {
            return Err(legacy("its version is not 1001"));
        }
        let system = next()?;
        let little =
            system.values.lookup(system.root, "little_endian").map(|id| system.values.get(id));
        match little {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Err(Error::BigEndian),
            _ => return Err(legacy("it does not say its byte order")),
        }
        let pickle = next()?;
        let keys = next()?;
        let Value::List(ids) = keys.values.get(keys.root) else {
            return Err(legacy("the list of its storages is not a list"));
        };
        let keys: Option<Vec<&str>> = ids.iter().map(|&id| keys.values.as_str(id)).collect();
        let keys = keys.ok_or_else(|| legacy("a storage's key is not a text"))?;
        let storages = storages(blob, file, at, &keys, &torch::storages(&pickle)?)?;
        Ok((Self(storages), pickle))
    }

    /// The bytes of a storage.
    pub fn storage(&self, key: &str) -> Result<Blob> {
        let missing = || Error::Storage {
            key: short(key),
            reason: "it is not in the file's list of storages".into(),
        };
        self.0.get(key).cloned().ok_or_else(missing)
    }
}

/// The storages that follow offset `at`, in the order of their keys.
fn storages(
    blob: &Blob,
    file: &[u8],
    at: usize,
    keys: &[&str],
    declared: &HashMap<&str, Storage>,
) -> Result<HashMap<String, Blob>> {
    let mut cursor = Cursor::new(file.get(at..).unwrap_or_default(), place(at));
    let mut found = HashMap::new();
    for &key in keys {
        let bad = |reason: String| Error::Storage { key: short(key), reason };
        // A storage without a declaration has no element type, so its length is not known.
        let storage = declared
            .get(key)
            .ok_or_else(|| bad("nothing in the checkpoint refers to it".into()))?;
        let count = cursor.u64("a storage's element count")?;
        if count != storage.numel {
            return Err(bad(format!("it has {count} elements, the pickle says {}", storage.numel)));
        }
        let length = count.checked_mul(storage.dtype.size() as u64);
        let length = length.ok_or_else(|| bad(format!("{count} elements overflow")))?;
        let start = at + cursor.consumed();
        let data = cursor.take(length, "a storage's elements")?;
        // Counts are all over the file.
        blob.release(start - 8..start);
        let data = blob
            .slice(start..start + data.len())
            .ok_or_else(|| bad("it lies outside the file".into()))?;
        if found.insert(key.to_string(), data).is_some() {
            return Err(Error::DuplicateName {
                name: short(key),
                place: "the list of storages".into(),
            });
        }
    }
    match cursor.left() {
        0 => Ok(found),
        left => Err(legacy(&format!("{left} bytes follow its last storage"))),
    }
}

fn place(offset: usize) -> Place {
    Place { stream: "the file", offset: offset as u64 }
}

fn legacy(reason: &str) -> Error {
    Error::Legacy { reason: reason.into() }
}
