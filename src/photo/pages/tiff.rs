//! TIFF with pages: a directory each, one leading to the next (TIFF 6.0, section 2).
//!
//! A page is encoded as a file of its own and then moved: every place that it tells moves along.

use std::collections::HashSet;
use std::io::{Seek, SeekFrom, Write};

/// A file that pages are written to.
pub(super) struct Writer<W: Write + Seek> {
    to: W,
    /// How long the file is.
    length: u64,
    /// Where the place of the next directory is told.
    next: u64,
    written: u16,
    count: u16,
}

const HEADER: usize = 8;
const STRIPS: u16 = 273;
/// Fields that lead to further directories: EXIF, places, interoperability.
const POINTERS: [u16; 3] = [0x8769, 0x8825, 0xA005];
const TOO_LONG: &str = "a TIFF holds at most 4 GiB";

impl<W: Write + Seek> Writer<W> {
    /// A file of `count` pages.
    pub(super) fn new(mut to: W, count: usize) -> Result<Self, String> {
        // The place of the first directory follows.
        to.write_all(b"II*\0\0\0\0\0").map_err(|e| e.to_string())?;
        let count = count.min(u16::MAX.into()) as u16;
        Ok(Self { to, length: HEADER as u64, next: 4, written: 0, count })
    }

    /// Appends the page that `file` holds, a little-endian TIFF whose directory is its end.
    pub(super) fn write(&mut self, mut file: Vec<u8>) -> Result<(), String> {
        let wrong = || "the page has no directory".to_owned();
        let directory = long(&file, 4).ok_or_else(wrong)? as usize;
        if !file.starts_with(b"II*\0") || directory < HEADER {
            return Err(wrong());
        }
        let by = u32::try_from(self.length - HEADER as u64).map_err(|_| TOO_LONG)?;
        let mut entries = Vec::new();
        move_directory(&mut file, directory, by, 0, &mut HashSet::new()).ok_or_else(wrong)?;
        let fields = short(&file, directory).ok_or_else(wrong)?;
        for i in 0..usize::from(fields) {
            let at = directory + 2 + 12 * i;
            let entry: [u8; 12] =
                *file.get(at..).and_then(|f| f.first_chunk()).ok_or_else(wrong)?;
            entries.push(entry);
        }
        let tag = |entry: &[u8; 12]| u16::from_le_bytes([entry[0], entry[1]]);
        entries.retain(|entry| !matches!(tag(entry), 254 | 297));
        // One page of several, and which.
        entries.push([254, 0, 4, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        let ([a, b], [c, d]) = (self.written.to_le_bytes(), self.count.to_le_bytes());
        entries.push([41, 1, 3, 0, 2, 0, 0, 0, a, b, c, d]);
        entries.sort_by_key(tag);
        let body = file.get(HEADER..directory).ok_or_else(wrong)?;
        let mut end = vec![0; body.len() % 2];
        let at = self.length + (body.len() + end.len()) as u64;
        end.extend((entries.len() as u16).to_le_bytes());
        end.extend(entries.as_flattened());
        end.extend([0; 4]);
        let place = u32::try_from(at).map_err(|_| TOO_LONG)?;
        let length = self.length + (body.len() + end.len()) as u64;
        u32::try_from(length).map_err(|_| TOO_LONG)?;
        let io = |e: std::io::Error| e.to_string();
        self.to.write_all(body).map_err(io)?;
        self.to.write_all(&end).map_err(io)?;
        self.to.seek(SeekFrom::Start(self.next)).map_err(io)?;
        self.to.write_all(&place.to_le_bytes()).map_err(io)?;
        self.to.seek(SeekFrom::Start(length)).map_err(io)?;
        self.next = length - 4;
        self.length = length;
        self.written = self.written.saturating_add(1);
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(), String> {
        self.to.flush().map_err(|e| e.to_string())
    }
}

/// Directories that lead to each other: interoperability stands in that of EXIF, and this in the
/// first.
const DEEPEST: usize = 4;

/// Adds `by` to every place that the directory at `at` tells, and those that it leads to. `depth`
/// lead to this one.
fn move_directory(
    file: &mut [u8],
    at: usize,
    by: u32,
    depth: usize,
    seen: &mut HashSet<usize>,
) -> Option<()> {
    if depth > DEEPEST || !seen.insert(at) {
        return Some(());
    }
    let fields = usize::from(short(file, at)?);
    let end = at.checked_add(2 + 12 * fields)?;
    for entry in (at + 2..end).step_by(12) {
        let (tag, kind) = (short(file, entry)?, short(file, entry + 2)?);
        let count = long(file, entry + 4)? as usize;
        // TIFF 6.0, section 2.
        let size = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => 1,
        };
        let mut value = entry + 8;
        if count.checked_mul(size)? > 4 {
            value = long(file, entry + 8)? as usize;
            add(file, entry + 8, by)?;
        }
        // Pixels are the first one's.
        if tag == STRIPS && depth == 0 {
            for i in 0..count {
                add(file, value.checked_add(4 * i)?, by)?;
            }
        } else if POINTERS.contains(&tag) && kind == 4 {
            let below = long(file, value)? as usize;
            // One that makes no sense costs itself alone.
            let _ = move_directory(file, below, by, depth + 1, seen);
            add(file, value, by)?;
        }
    }
    Some(())
}

fn short(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn long(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn add(file: &mut [u8], at: usize, by: u32) -> Option<()> {
    let sum = long(file, at)?.wrapping_add(by);
    file.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&sum.to_le_bytes());
    Some(())
}
