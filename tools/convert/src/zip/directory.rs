//! Reads a zip file's directory and checks it against the entries themselves.

use std::{collections::HashMap, ops::Range};

use super::{Entry, zip};
use crate::{
    blob::Blob,
    cursor::Cursor,
    error::{Error, Place, Result, short},
    options::Limits,
};

const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const END_64_LOCATOR: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
/// Fixed parts of the records.
const END_LEN: usize = 22;
const END_64_LEN: u64 = 56;
const END_64_LOCATOR_LEN: usize = 20;
const CENTRAL_LEN: u64 = 46;
/// A 32-bit field whose value is in the 64-bit extension.
const IN_EXTENSION: u32 = u32::MAX;
/// Sizes follow the data instead of being in the local header.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// Encrypted, patched, strongly encrypted, or with masked headers.
const FLAGS_REFUSED: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;

/// The entries of a zip file, by name.
pub(super) fn read(file: &Blob, limits: &Limits) -> Result<HashMap<String, Entry>> {
    Directory::find(file.bytes())?.entries(file, limits)
}

/// The directory's place and length in entries.
struct Directory {
    range: Range<usize>,
    count: u64,
}

impl Directory {
    /// From the record at the end of the file, and its 64-bit extension if there is one.
    fn find(file: &[u8]) -> Result<Self> {
        let at = end_record(file).ok_or_else(|| {
            zip("its end is missing: the file is cut short, fetch it again".into())
        })?;
        let mut end = cursor(file, at);
        end.u32("the end record")?;
        let disks = [end.u16("the end record")?, end.u16("the end record")?];
        let counts = [end.u16("the end record")?, end.u16("the end record")?];
        let (size, offset) = (end.u32("the end record")?, end.u32("the end record")?);
        let locator = at.checked_sub(END_64_LOCATOR_LEN).map(|at| cursor(file, at));
        let (count, size, offset, directory_end) = match locator {
            Some(mut locator) if locator.clone().u32("the locator")? == END_64_LOCATOR => {
                locator.take(8, "the locator")?;
                let wide =
                    Self::find_64(file, locator.u64("the locator")?, at - END_64_LOCATOR_LEN)?;
                // The narrow fields either leave the word to the wide ones or say the same.
                let agree =
                    |narrow: u32, none: u32, wide: u64| narrow == none || u64::from(narrow) == wide;
                if !agree(counts[1].into(), u16::MAX.into(), wide.0)
                    || !agree(size, IN_EXTENSION, wide.1)
                    || !agree(offset, IN_EXTENSION, wide.2)
                {
                    return Err(zip("its two end records disagree".into()));
                }
                wide
            }
            _ => {
                if disks != [0, 0] || counts[0] != counts[1] {
                    return Err(zip(
                        "it is a part of a set of several files: join them first".into()
                    ));
                }
                (counts[1].into(), size.into(), offset.into(), at as u64)
            }
        };
        if offset.checked_add(size) != Some(directory_end) {
            return Err(zip(format!(
                "its directory ({size} bytes from offset {offset}) does not end at {directory_end}"
            )));
        }
        // Both are at most `directory_end`, which is in the file.
        Ok(Self { range: offset as usize..directory_end as usize, count })
    }

    /// Count, size and offset of the directory, and the offset of the 64-bit record itself.
    fn find_64(file: &[u8], at: u64, locator_at: usize) -> Result<(u64, u64, u64, u64)> {
        const WHAT: &str = "the 64-bit end record";
        if at.checked_add(END_64_LEN).is_none_or(|end| end > locator_at as u64) {
            return Err(zip(format!("its 64-bit end record at offset {at} lies outside the file")));
        }
        let mut end = cursor(file, at as usize);
        let signature = end.u32(WHAT)?;
        let length = end.u64(WHAT)?;
        // The length leaves out its own 12 bytes so far.
        if signature != END_64
            || length.checked_add(12).and_then(|n| n.checked_add(at)) != Some(locator_at as u64)
        {
            return Err(zip(format!("there is no 64-bit end record at offset {at}")));
        }
        end.take(4, WHAT)?;
        let disks = [end.u32(WHAT)?, end.u32(WHAT)?];
        let counts = [end.u64(WHAT)?, end.u64(WHAT)?];
        if disks != [0, 0] || counts[0] != counts[1] {
            return Err(zip("it is a part of a set of several files: join them first".into()));
        }
        Ok((counts[1], end.u64(WHAT)?, end.u64(WHAT)?, at))
    }

    /// Reads every record and checks that the entries' bytes are theirs alone.
    fn entries(&self, file: &Blob, limits: &Limits) -> Result<HashMap<String, Entry>> {
        let bytes = file.bytes().get(self.range.clone()).unwrap_or_default();
        if self.count.checked_mul(CENTRAL_LEN).is_none_or(|least| least > bytes.len() as u64) {
            return Err(zip(format!(
                "its directory of {} bytes cannot hold {} entries",
                bytes.len(),
                self.count
            )));
        }
        if self.count > limits.zip_entries as u64 {
            let (value, limit) = (self.count, limits.zip_entries as u64);
            return Err(Error::Limit {
                what: "the zip directory".into(),
                value,
                limit,
                option: "zip_entries",
            });
        }
        let mut cursor = Cursor::new(bytes, place(self.range.start));
        let mut entries = HashMap::new();
        let mut spans = Vec::new();
        for _ in 0..self.count {
            let record = Record::read(&mut cursor)?;
            let (data, start) = record.locate(file.bytes(), self.range.start)?;
            // Headers are all over the file.
            file.release(start..data.start);
            spans.push((start, data.end));
            let entry =
                Entry { deflated: record.method == 8, crc: record.crc, data, size: record.size };
            if entries.insert(record.name.to_string(), entry).is_some() {
                return Err(Error::DuplicateName {
                    name: short(record.name),
                    place: "the zip file".into(),
                });
            }
        }
        if cursor.left() > 0 {
            return Err(zip(format!(
                "{} bytes of its directory belong to no entry",
                cursor.left()
            )));
        }
        spans.sort_unstable();
        match spans.windows(2).find(|pair| matches!(pair, [a, b] if a.1 > b.0)) {
            Some(pair) => Err(zip(format!("two entries share bytes: {pair:?}"))),
            None => Ok(entries),
        }
    }
}

/// One record of the directory.
struct Record<'a> {
    name: &'a str,
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    offset: u64,
}

impl<'a> Record<'a> {
    fn read(c: &mut Cursor<'a>) -> Result<Self> {
        const WHAT: &str = "a directory record";
        let at = c.place();
        if c.u32(WHAT)? != CENTRAL {
            return Err(zip(format!("there is no directory record at {at}")));
        }
        c.take(4, WHAT)?; // versions
        let (flags, method) = (c.u16(WHAT)?, c.u16(WHAT)?);
        c.take(4, WHAT)?; // time and date
        let (crc, compressed, size) = (c.u32(WHAT)?, c.u32(WHAT)?, c.u32(WHAT)?);
        let (name_len, extra_len, comment_len) = (c.u16(WHAT)?, c.u16(WHAT)?, c.u16(WHAT)?);
        let disk = c.u16(WHAT)?;
        c.take(6, WHAT)?; // attributes
        let offset = c.u32(WHAT)?;
        let name = c.take(name_len.into(), "an entry's name")?;
        let name = std::str::from_utf8(name)
            .map_err(|_| zip(format!("the name of the entry at {at} is not UTF-8")))?;
        let extra = c.take(extra_len.into(), WHAT)?;
        c.take(comment_len.into(), WHAT)?;
        let refuse = |why: &str| zip(format!("the entry {:?} {why}", short(name)));
        if flags & FLAGS_REFUSED != 0 {
            return Err(refuse("is encrypted or a patch"));
        }
        if !matches!(method, 0 | 8) {
            return Err(refuse(&format!(
                "is compressed by method {method}, neither stored nor deflated"
            )));
        }
        let [size, compressed, offset] = widen([size, compressed, offset], extra)
            .ok_or_else(|| refuse("lacks the 64-bit sizes that it announces"))?;
        if !matches!(disk, 0 | u16::MAX) {
            return Err(refuse("lies in another file of a set"));
        }
        if method == 0 && size != compressed {
            return Err(refuse(&format!("is stored, yet takes {compressed} bytes for {size}")));
        }
        Ok(Self { name, flags, method, crc, compressed, size, offset })
    }

    /// Bytes of the entry's data, and where its local header starts.
    fn locate(&self, file: &[u8], directory: usize) -> Result<(Range<usize>, usize)> {
        const WHAT: &str = "an entry's header";
        let wrong = |why: &str| zip(format!("the entry {:?} {why}", short(self.name)));
        let start = usize::try_from(self.offset).ok().filter(|&start| start < directory);
        let start = start.ok_or_else(|| wrong("starts behind the directory"))?;
        let mut c = Cursor::new(file.get(start..directory).unwrap_or_default(), place(start));
        if c.u32(WHAT)? != LOCAL {
            return Err(wrong("has no header where the directory says"));
        }
        c.take(2, WHAT)?; // version
        let (flags, method) = (c.u16(WHAT)?, c.u16(WHAT)?);
        c.take(4, WHAT)?; // time and date
        let (crc, compressed, size) = (c.u32(WHAT)?, c.u32(WHAT)?, c.u32(WHAT)?);
        let (name_len, extra_len) = (c.u16(WHAT)?, c.u16(WHAT)?);
        let name = c.take(name_len.into(), "an entry's name")?;
        let extra = c.take(extra_len.into(), WHAT)?;
        if name != self.name.as_bytes() || method != self.method || flags != self.flags {
            return Err(wrong("has a header that differs from the directory"));
        }
        if flags & FLAG_DESCRIPTOR == 0 {
            let sizes = widen([size, compressed, 0], extra);
            if crc != self.crc || sizes != Some([self.size, self.compressed, 0]) {
                return Err(wrong("has sizes that differ from the directory"));
            }
        }
        let data = start + c.consumed();
        c.take(self.compressed, "an entry's data")?;
        Ok((data..start + c.consumed(), start))
    }
}

/// Replaces the fields that say so by those of the 64-bit extension, in the order size, compressed
/// size, offset. `None` if a field is missing there.
fn widen(fields: [u32; 3], extra: &[u8]) -> Option<[u64; 3]> {
    const WIDE: u16 = 1;
    if !fields.contains(&IN_EXTENSION) {
        return Some(fields.map(u64::from));
    }
    let mut c = Cursor::new(extra, place(0));
    while c.left() > 0 {
        let (id, len) = (c.u16("").ok()?, c.u16("").ok()?);
        let mut body = Cursor::new(c.take(len.into(), "").ok()?, place(0));
        if id == WIDE {
            let mut wide = [0; 3];
            for (to, from) in wide.iter_mut().zip(fields) {
                *to = if from == IN_EXTENSION { body.u64("").ok()? } else { from.into() };
            }
            return Some(wide);
        }
    }
    None
}

/// Offset of the end record: the last one whose comment reaches exactly to the end of the file.
fn end_record(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(END_LEN)?;
    let first = last.saturating_sub(u16::MAX.into());
    (first..=last).rev().find(|&at| {
        let mut c = cursor(file, at);
        let (signature, _) = (c.u32(""), c.take(16, ""));
        signature.ok() == Some(END)
            && c.u16("").is_ok_and(|comment| at + END_LEN + usize::from(comment) == file.len())
    })
}

fn cursor(file: &[u8], at: usize) -> Cursor<'_> {
    Cursor::new(file.get(at..).unwrap_or_default(), place(at))
}

fn place(offset: usize) -> Place {
    Place { stream: "the file", offset: offset as u64 }
}
