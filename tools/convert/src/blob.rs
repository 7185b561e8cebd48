//! A run of bytes of a mapped file or of memory that keeps its owner alive.

use std::{
    fmt,
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Bytes handed out at a time: many enough that a system call for each costs nothing, and few
/// against the weights of any network. A multiple of every element's size.
pub(crate) const PIECE: usize = 1 << 20;

/// Bytes of a mapped file that are read before they are given back: every time costs the other threads
/// a moment.
const HELD: usize = 4 * PIECE;

/// Reading one byte of a mapped file may map the huge page around it: 2 MiB on most machines.
#[cfg(unix)]
const HUGE_PAGE: usize = 2 << 20;

/// Immutable bytes; clones share them.
#[derive(Clone)]
pub(crate) struct Blob {
    owner: Arc<Owner>,
    range: Range<usize>,
}

enum Owner {
    Map(Mmap),
    Memory(Vec<u8>),
    Shared(Shared),
}

/// Bytes of the caller: a map of its own, or what `include_bytes!` yields.
pub(crate) type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

impl Blob {
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(Owner::Memory(bytes)), range }
    }

    /// Bytes that the caller keeps.
    pub fn shared(bytes: Shared) -> Self {
        let range = 0..(*bytes).as_ref().len();
        Self { owner: Arc::new(Owner::Shared(bytes)), range }
    }

    /// The whole file, mapped or read into memory.
    pub fn open(path: &Path, memory_map: bool) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), source };
        let there = std::fs::metadata(path).map_err(io)?;
        if there.is_dir() {
            return Err(io(std::io::ErrorKind::IsADirectory.into()));
        }
        // A pipe would wait for its other end, and cannot be read twice.
        if !there.is_file() {
            return Err(io(std::io::Error::other("it is not a file")));
        }
        if !memory_map {
            return Ok(Self::from_vec(std::fs::read(path).map_err(io)?));
        }
        let file = File::open(path).map_err(io)?;
        Self::map(&file).map_err(io)
    }

    /// What `write` writes, in an unnamed temporary file that is mapped: so it takes no memory that
    /// the system could not have back.
    pub fn temporary(write: impl FnOnce(&mut File) -> Result<()>) -> Result<Self> {
        let io = |source| Error::Io { path: PathBuf::from("a temporary file"), source };
        let mut file = tempfile::tempfile().map_err(io)?;
        write(&mut file)?;
        Self::map(&file).map_err(io)
    }

    fn map(file: &File) -> std::io::Result<Self> {
        // An empty file cannot be mapped everywhere.
        if file.metadata()?.len() == 0 {
            return Ok(Self::from_vec(Vec::new()));
        }
        // SAFETY: a mapping is sound as long as nobody changes the file, which no program can
        // enforce; `Options::memory_map` asks it of the caller and offers the way around it. All
        // else holds here: the mapping is read-only, its length is fixed when it is made, every
        // access goes through a slice of that length, and the owner outlives each slice.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }?;
        let range = 0..map.len();
        Ok(Self { owner: Arc::new(Owner::Map(map)), range })
    }

    pub fn bytes(&self) -> &[u8] {
        let all: &[u8] = match &*self.owner {
            Owner::Map(map) => map,
            Owner::Memory(bytes) => bytes,
            Owner::Shared(bytes) => (**bytes).as_ref(),
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

    /// Calls `f` with the bytes, [`PIECE`] of them at a time. A mapped file takes no more memory
    /// than [`HELD`], and the rest of a huge page on both sides, while it is read so.
    pub fn pieces(&self, mut f: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut start = 0;
        for held in self.bytes().chunks(HELD) {
            held.chunks(PIECE).try_for_each(&mut f)?;
            self.release(start..start + held.len());
            start += held.len();
        }
        Ok(())
    }

    /// Tells the system that a part of a mapped file is not needed for now. Reading it again is
    /// only slower.
    pub fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Owner::Map(map) = &*self.owner {
            let at = |offset: usize| self.range.start.saturating_add(offset).min(map.len());
            let start = at(range.start).saturating_sub(HUGE_PAGE);
            let end = at(range.end).saturating_add(HUGE_PAGE).min(map.len());
            let len = end.saturating_sub(start);
            // SAFETY: the range lies in the mapping. It is a read-only view of a file, so its pages
            // hold nothing that the file does not: the system fills them again with the same bytes
            // on the next access, and no reference sees a change.
            #[allow(unsafe_code)]
            let advised = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, len)
            };
            // The advice may be refused; nothing depends on it.
            drop(advised);
        }
        #[cfg(not(unix))]
        drop(range);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::{Blob, PIECE};

    #[test]
    fn a_slice_stays_inside() {
        let blob = Blob::from_vec(vec![0, 1, 2, 3]);
        let part = blob.slice(1..3);
        assert_eq!(part.as_ref().map(Blob::bytes), Some(&[1, 2][..]));
        assert!(blob.slice(1..5).is_none());
        // The part's end counts, not the whole's.
        assert!(part.is_some_and(|part| part.slice(0..3).is_none()));
    }

    #[test]
    fn pieces_are_the_whole_and_can_be_read_again() {
        let bytes: Vec<u8> = (0..2 * PIECE + 12345).map(|i| (i % 251) as u8).collect();
        let mapped = Blob::temporary(|file| {
            file.write_all(&bytes).unwrap();
            Ok(())
        });
        for blob in [mapped.unwrap(), Blob::from_vec(bytes.clone())] {
            let part = blob.slice(777..blob.len() - 1).unwrap();
            for _ in 0..2 {
                let mut seen = Vec::new();
                part.pieces(|piece| {
                    seen.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
                assert!(seen == bytes[777..bytes.len() - 1]);
            }
        }
    }
}
