//! A run of bytes of a mapped file or of memory that keeps its owner alive.

use std::{fmt, fs::File, ops::Range, path::Path, sync::Arc};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Immutable bytes; clones share them.
#[derive(Clone)]
pub(crate) struct Blob {
    owner: Arc<Owner>,
    range: Range<usize>,
}

enum Owner {
    Map(Mmap),
    Memory(Vec<u8>),
}

impl Blob {
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(Owner::Memory(bytes)), range }
    }

    /// The whole file, mapped or read into memory.
    pub fn open(path: &Path, memory_map: bool) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), source };
        if !memory_map {
            return Ok(Self::from_vec(std::fs::read(path).map_err(io)?));
        }
        let file = File::open(path).map_err(io)?;
        // An empty file cannot be mapped everywhere.
        if file.metadata().map_err(io)?.len() == 0 {
            return Ok(Self::from_vec(Vec::new()));
        }
        // SAFETY: a mapping is sound as long as nobody changes the file, which no program can
        // enforce; `Options::memory_map` asks it of the caller and offers the way around it. All
        // else holds here: the mapping is read-only, its length is fixed when it is made, every
        // access goes through a slice of that length, and the owner outlives each slice.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        let range = 0..map.len();
        Ok(Self { owner: Arc::new(Owner::Map(map)), range })
    }

    pub fn bytes(&self) -> &[u8] {
        let all: &[u8] = match &*self.owner {
            Owner::Map(map) => map,
            Owner::Memory(bytes) => bytes,
        };
        // Always inside: `slice` only narrows the range.
        all.get(self.range.clone()).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// The part `range` of this blob, `None` if it reaches past the end.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let range = self.range.start + range.start..self.range.start + range.end;
        Some(Self { owner: Arc::clone(&self.owner), range })
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Blob;

    #[test]
    fn a_slice_stays_inside() {
        let blob = Blob::from_vec(vec![0, 1, 2, 3]);
        let part = blob.slice(1..3);
        assert_eq!(part.as_ref().map(Blob::bytes), Some(&[1, 2][..]));
        assert!(blob.slice(1..5).is_none());
        // The part's end counts, not the whole's.
        assert!(part.is_some_and(|part| part.slice(0..3).is_none()));
    }
}
