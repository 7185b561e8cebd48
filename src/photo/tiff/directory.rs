//! The directories of a TIFF structure (TIFF 6.0, section 2), also of BigTIFF and of EXIF.

/// Bytes in either order, with directories in them. Every access outside of it is `None`.
#[derive(Clone, Copy)]
pub(in super::super) struct Structure<'a> {
    pub(in super::super) bytes: &'a [u8],
    /// Most significant byte first.
    pub(in super::super) big_endian: bool,
    /// Offsets have 64 bits.
    big: bool,
}

/// One field of a directory.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Entry {
    pub(in super::super) tag: u16,
    kind: u16,
    count: usize,
    /// Where its values stand.
    at: usize,
}

/// The fields of one directory.
pub(in super::super) struct Directory {
    /// Where it stands.
    pub(in super::super) at: usize,
    pub(in super::super) entries: Vec<Entry>,
    /// Where the next one stands; 0: there is none.
    next: usize,
}

/// Directories that are followed: of a hostile file each may lead to many others.
pub(super) const MOST: usize = 4096;
/// Fields of a directory. libtiff takes more for damage, too.
const MOST_FIELDS: usize = 4096;
/// Fields of all directories that follow each other: those of a hostile file lie on top of each
/// other.
const MOST_FIELDS_OF_ALL: usize = 1 << 18;
/// Directories that one leads to beside the next.
const MOST_BELOW: usize = 64;
/// The field that leads to further directories.
const SUB_DIRECTORIES: u16 = 330;

impl<'a> Structure<'a> {
    /// The structure, and where its first directory stands; `None` where `bytes` are no TIFF.
    pub(in super::super) fn open(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let big_endian = match bytes.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let small = Self { bytes, big_endian, big: false };
        match small.number(2, 2)? {
            42 => Some((small, small.number(4, 4)?)),
            43 if small.number(4, 2)? == 8 => {
                let big = Self { big: true, ..small };
                Some((big, big.number(8, 8)?))
            }
            _ => None,
        }
    }

    /// The unsigned number of `size` bytes at `at`.
    pub(in super::super) fn number(&self, at: usize, size: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let append = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        let value = if self.big_endian {
            bytes.iter().fold(0, append)
        } else {
            bytes.iter().rev().fold(0, append)
        };
        usize::try_from(value).ok()
    }

    /// The directory at `at`. Fields that reach out of the file are left out.
    pub(in super::super) fn directory(&self, at: usize) -> Option<Directory> {
        let (head, size, offset) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head).filter(|&count| count <= MOST_FIELDS)?;
        let first = at.checked_add(head)?;
        let end = first.checked_add(count.checked_mul(size)?)?;
        if end > self.bytes.len() {
            return None;
        }
        let entry = |at: usize| {
            let (tag, kind) = (self.number(at, 2)?, self.number(at + 2, 2)?);
            let count = self.number(at + 4, offset)?;
            let field = at + 4 + offset;
            let bytes = count.checked_mul(size_of(kind as u16)?)?;
            let at = if bytes <= offset { field } else { self.number(field, offset)? };
            self.bytes.get(at..at.checked_add(bytes)?)?;
            Some(Entry { tag: tag as u16, kind: kind as u16, count, at })
        };
        let entries = (first..end).step_by(size).filter_map(entry).collect();
        Some(Directory { at, entries, next: self.number(end, offset).unwrap_or(0) })
    }

    /// The directories that follow each other from `first` on; `None` where there are more than
    /// [`MOST`], or they have too many fields.
    pub(in super::super) fn chain(&self, first: usize) -> Option<Vec<Directory>> {
        let (mut at, mut all, mut seen) = (first, Vec::new(), std::collections::HashSet::new());
        let mut fields = 0;
        while at != 0 && seen.insert(at) {
            let Some(directory) = self.directory(at) else { break };
            at = directory.next;
            fields += directory.entries.len();
            if all.len() == MOST || fields > MOST_FIELDS_OF_ALL {
                return None;
            }
            all.push(directory);
        }
        Some(all)
    }

    /// The directories that `directory` leads to, and those that they lead to: as many as are
    /// `left`, which those found are taken from.
    pub(in super::super) fn below(
        &self,
        directory: &Directory,
        left: &mut usize,
    ) -> Vec<Directory> {
        let offsets = |d: &Directory| {
            let entry = d.entry(SUB_DIRECTORIES).filter(|entry| entry.count <= MOST_BELOW);
            entry.and_then(|_| self.values(d, SUB_DIRECTORIES)).unwrap_or_default()
        };
        let (mut waiting, mut all) = (offsets(directory), Vec::new());
        while let Some(at) = waiting.pop() {
            if *left == 0 || all.len() == MOST_BELOW {
                break;
            }
            *left -= 1;
            if let Some(found) = self.directory(at) {
                waiting.extend(offsets(&found));
                all.push(found);
            }
        }
        all
    }

    /// The whole numbers of a field.
    pub(in super::super) fn values(&self, directory: &Directory, tag: u16) -> Option<Vec<usize>> {
        let entry = directory.entry(tag)?;
        // BYTE, SHORT, LONG, IFD, LONG8, IFD8.
        if !matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18) {
            return None;
        }
        let size = size_of(entry.kind)?;
        (0..entry.count).map(|index| self.number(entry.at + index * size, size)).collect()
    }

    /// The first whole number of a field.
    pub(in super::super) fn value(&self, directory: &Directory, tag: u16) -> Option<usize> {
        let entry = directory.entry(tag)?;
        if !matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18) || entry.count == 0 {
            return None;
        }
        self.number(entry.at, size_of(entry.kind)?)
    }

    /// The bytes of a field.
    pub(in super::super) fn raw(&self, directory: &Directory, tag: u16) -> Option<&'a [u8]> {
        let entry = directory.entry(tag)?;
        self.bytes.get(entry.at..entry.at + entry.count * size_of(entry.kind)?)
    }

    /// The fractions of a field.
    pub(in super::super) fn fractions(&self, directory: &Directory, tag: u16) -> Option<Vec<f64>> {
        const RATIONAL: u16 = 5;
        let entry = directory.entry(tag)?;
        let at = |index: usize| {
            let at = entry.at + 8 * index;
            let (over, under) = (self.number(at, 4)? as f64, self.number(at + 4, 4)? as f64);
            (under > 0.0).then_some(over / under)
        };
        (entry.kind == RATIONAL).then(|| (0..entry.count).map(at).collect()).flatten()
    }
}

impl Directory {
    pub(in super::super) fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }
}

/// Bytes of a value of this kind.
const fn size_of(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}
