//! A TIFF file's metadata of its picture, as [`Kept`] and as EXIF.

use super::kept::{Density, Kept};

/// An entry of a directory: its value as it lies in the file.
#[derive(Clone, Debug)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// In the order of the file's bytes.
    value: Vec<u8>,
}

/// A value is shorter: a file may claim anything.
const LONGEST: u64 = 16 << 20;
/// Directories have fewer entries.
const MOST: u64 = 4096;

const EXIF: u16 = 0x8769;
const GPS: u16 = 0x8825;
const INTEROPERABILITY: u16 = 0xA005;
const XMP: u16 = 700;
const IPTC: u16 = 33_723;
const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;

/// Whether a tag of the first directory tells how the file is laid out, or is kept elsewhere:
/// it says nothing of another file.
pub(super) fn is_of_file(tag: u16) -> bool {
    matches!(tag,
        254..=259 | 262..=266 | 273 | 277..=281 | 284 | 288..=293 | 297 | 301 | 317 | 320..=325 | 330
        | 332..=347 | 512..=521 | 529..=532 | 559 | 700 | 33_421 | 33_422 | 33_723 | 34_377 | 34_675
        | 37_724 | 50_341 | 50_706..=52_600)
}

/// A TIFF or BigTIFF file of either byte order. Every access outside of it is `None`.
struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
    /// Whether offsets have 8 bytes.
    big: bool,
}

impl<'a> Tiff<'a> {
    fn open(bytes: &'a [u8]) -> Option<(Self, u64)> {
        let little = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let mut tiff = Self { bytes, little, big: false };
        tiff.big = match tiff.number(2, 2)? {
            42 => false,
            43 => true,
            _ => return None,
        };
        let first = if tiff.big { tiff.number(8, 8)? } else { tiff.number(4, 4)? };
        Some((tiff, first))
    }

    fn at(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let end = at.checked_add(length)?;
        self.bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
    }

    fn number(&self, at: u64, length: u64) -> Option<u64> {
        Some(number(self.at(at, length)?, self.little))
    }

    /// The entries of the directory at `at` whose values are in the file; `None` where these lie on
    /// top of each other, and are longer than the file.
    fn entries(&self, at: u64) -> Option<Vec<Entry>> {
        let (wide, size) = if self.big { (8, 20) } else { (2, 12) };
        let count = self.number(at, wide)?;
        if count > MOST {
            return None;
        }
        let first = at.checked_add(wide)?;
        self.at(first, count * size)?;
        let (mut entries, mut room) = (Vec::new(), self.bytes.len());
        for i in 0..count {
            if let Some(entry) = self.entry(first + i * size) {
                room = room.checked_sub(entry.value.len())?;
                entries.push(entry);
            }
        }
        Some(entries)
    }

    fn entry(&self, at: u64) -> Option<Entry> {
        let (tag, kind) = (self.number(at, 2)? as u16, self.number(at + 2, 2)? as u16);
        let wide = if self.big { 8 } else { 4 };
        let count = self.number(at + 4, wide)?;
        let length = count.checked_mul(size_of(kind)?).filter(|&length| length <= LONGEST)?;
        let field = at + 4 + wide;
        let place = if length <= wide { field } else { self.number(field, wide)? };
        Some(Entry { tag, kind, count, value: self.at(place, length)?.to_vec() })
    }
}

fn number(bytes: &[u8], little: bool) -> u64 {
    let push = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, push) } else { bytes.iter().fold(0, push) }
}

/// Bytes of a value of this kind (TIFF 6.0, section 2; 13: a directory).
fn size_of(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}

/// Bytes of one number in a value of this kind: rationals have two.
fn word(kind: u16) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 5 | 9 | 10 | 11 | 13 => 4,
        12 | 16..=18 => 8,
        _ => 1,
    }
}

/// What `file` holds beside EXIF in the directory at this place, without which it is the first.
pub(super) fn kept(file: &[u8], directory: Option<u64>) -> Option<Kept> {
    let (tiff, first) = Tiff::open(file)?;
    let entries = tiff.entries(directory.unwrap_or(first))?;
    let find = |tag: u16| entries.iter().find(|entry| entry.tag == tag);
    let bytes = |tag: u16| find(tag).map(|entry| entry.value.clone()).filter(|v| !v.is_empty());
    Some(Kept {
        density: density(&tiff, &entries),
        xmp: bytes(XMP),
        iptc: bytes(IPTC),
        ..Kept::default()
    })
}

/// The density that EXIF tells.
pub(super) fn density_of_exif(exif: &[u8]) -> Option<Density> {
    let (tiff, first) = Tiff::open(exif)?;
    density(&tiff, &tiff.entries(first)?)
}

fn density(tiff: &Tiff<'_>, entries: &[Entry]) -> Option<Density> {
    let find = |tag: u16| entries.iter().find(|entry| entry.tag == tag);
    let rational = |tag: u16| {
        let entry = find(tag).filter(|entry| entry.kind == 5 && entry.value.len() == 8)?;
        let [above, below] = [0, 4].map(|at| number(&entry.value[at..at + 4], tiff.little) as f64);
        Some(above / below)
    };
    let unit = find(RESOLUTION_UNIT).map_or(2, |entry| number(&entry.value, tiff.little));
    let factor = match unit {
        2 => 1.0,
        3 => 2.54,
        _ => return None,
    };
    Density::per_inch(rational(X_RESOLUTION)? * factor, rational(Y_RESOLUTION)? * factor)
}

/// The EXIF of a TIFF file: what the directory at this place says of the picture, without a place
/// the first, and the directories of EXIF and of places. One of them that is damaged is left out. `None` where there is nothing.
pub(super) fn exif(file: &[u8], directory: Option<u64>) -> Option<Vec<u8>> {
    let (tiff, first) = Tiff::open(file)?;
    let mut entries = tiff.entries(directory.unwrap_or(first))?;
    entries.retain(|entry| !is_of_file(entry.tag));
    let below = |entries: &[Entry], tag: u16| {
        let entry = entries.iter().find(|entry| entry.tag == tag)?;
        tiff.entries(number(&entry.value, tiff.little))
    };
    let (inner, places) = (below(&entries, EXIF), below(&entries, GPS));
    let shared = inner.as_ref().and_then(|inner| below(inner, INTEROPERABILITY));
    let is_pointer = |entry: &Entry| matches!(entry.tag, EXIF | GPS | INTEROPERABILITY);
    entries.retain(|entry| !is_pointer(entry));
    // How it is turned is the file's own, and how large it is on paper is kept without EXIF, too.
    let is_kept = |entry: &Entry| matches!(entry.tag, 274 | 282 | 283 | 296);
    if entries.iter().all(is_kept) && inner.is_none() && places.is_none() {
        return None;
    }
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    // The first directory is written last, over the room that is kept for it.
    let pointers = usize::from(inner.is_some()) + usize::from(places.is_some());
    let room = directory_bytes(entries.len() + pointers);
    out.resize(8 + room, 0);
    let mut add = |list: Option<Vec<Entry>>, tag: u16, below: Option<u32>, to: &mut Vec<Entry>| {
        let Some(mut list) = list else { return };
        list.retain(|entry| !is_pointer(entry));
        list.extend(below.map(|at| pointer(INTEROPERABILITY, at)));
        let at = out.len() as u32;
        let place = out.len() + directory_bytes(list.len());
        out.resize(place, 0);
        write(&mut out, at as usize, list, tiff.little);
        to.push(pointer(tag, at));
    };
    let mut own = Vec::new();
    add(shared, INTEROPERABILITY, None, &mut own);
    let shared = own.pop().map(|entry| number(&entry.value, true) as u32);
    add(inner, EXIF, shared, &mut own);
    add(places, GPS, None, &mut own);
    // Pointers are little-endian already; the others are turned where they must be.
    let mut turned = entries;
    for entry in &mut turned {
        turn(entry, tiff.little);
    }
    turned.extend(own);
    write(&mut out, 8, turned, true);
    Some(out)
}

fn pointer(tag: u16, at: u32) -> Entry {
    Entry { tag, kind: 4, count: 1, value: at.to_le_bytes().to_vec() }
}

/// Brings a value to little-endian order.
fn turn(entry: &mut Entry, little: bool) {
    if !little {
        entry.value.chunks_exact_mut(word(entry.kind)).for_each(<[u8]>::reverse);
    }
}

fn directory_bytes(entries: usize) -> usize {
    2 + 12 * entries + 4
}

/// Writes a directory at `at`, where there is room for it, and its values behind all that is there.
fn write(out: &mut Vec<u8>, at: usize, mut entries: Vec<Entry>, little: bool) {
    entries.sort_by_key(|entry| entry.tag);
    let mut directory = (entries.len() as u16).to_le_bytes().to_vec();
    for mut entry in entries {
        if entry.tag != INTEROPERABILITY {
            turn(&mut entry, little);
        }
        directory.extend(entry.tag.to_le_bytes());
        directory.extend(entry.kind.to_le_bytes());
        directory.extend((entry.count as u32).to_le_bytes());
        if entry.value.len() <= 4 {
            entry.value.resize(4, 0);
            directory.extend(&entry.value);
        } else {
            directory.extend((out.len() as u32).to_le_bytes());
            out.extend(&entry.value);
            // Values begin at even places.
            out.resize(out.len().next_multiple_of(2), 0);
        }
    }
    directory.extend([0; 4]);
    if let Some(room) = out.get_mut(at..at + directory.len()) {
        room.copy_from_slice(&directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with an artist, a resolution of 300, a directory of EXIF with a time, and one of
    /// places at `places`.
    fn file(little: bool, places: u32) -> Vec<u8> {
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            [&short(tag)[..], &short(kind), &long(count), &long(value)].concat()
        };
        let mut out = if little { b"II".to_vec() } else { b"MM".to_vec() };
        out.extend([&short(42)[..], &long(8), &short(6)].concat());
        for (tag, kind, count, value) in [
            (256, 4, 1, 7),
            (282, 5, 1, 120),
            (283, 5, 1, 120),
            (315, 2, 6, 128),
            (EXIF, 4, 1, 136),
            (GPS, 4, 1, places),
        ] {
            out.extend(entry(tag, kind, count, value));
        }
        out.resize(120, 0);
        out.extend([long(600), long(2)].concat());
        out.extend(b"Ada L\0\0\0");
        out.extend([&short(1)[..], &entry(0x9003, 2, 20, 160)].concat());
        out.resize(160, 0);
        out.extend(b"1985:06:01 12:00:00\0");
        out.extend([&short(1)[..], &entry(1, 2, 2, 0x4E4E_4E4E), &long(0)].concat());
        out
    }

    #[test]
    fn a_file_becomes_exif() {
        for little in [true, false] {
            let exif = exif(&file(little, 180), None).unwrap();
            let (tiff, first) = Tiff::open(&exif).unwrap();
            let entries = tiff.entries(first).unwrap();
            let tags: Vec<u16> = entries.iter().map(|entry| entry.tag).collect();
            assert_eq!(tags, [282, 283, 315, EXIF, GPS], "{little}");
            assert_eq!(entries[2].value, b"Ada L\0");
            let inner = tiff.entries(number(&entries[3].value, true)).unwrap();
            assert_eq!(inner[0].value, b"1985:06:01 12:00:00\0");
            assert_eq!(density_of_exif(&exif), Density::per_inch(300.0, 300.0));
            assert_eq!(
                kept(&file(little, 180), None).unwrap().density,
                Density::per_inch(300.0, 300.0)
            );
        }
    }

    /// Some megabytes would become gigabytes.
    #[test]
    fn values_on_top_of_each_other_are_refused() {
        let file = |fields: u16| {
            let entry = [&315_u16.to_le_bytes()[..], &[1, 0], &600_u32.to_le_bytes(), &[0; 4]];
            let directory = entry.concat().repeat(usize::from(fields));
            let mut file =
                [b"II*\0\x08\0\0\0".as_slice(), &fields.to_le_bytes(), &directory].concat();
            file.resize(1300, 0);
            file
        };
        assert!(exif(&file(2), None).is_some() && exif(&file(3), None).is_none());
    }

    #[test]
    fn a_bad_directory_costs_itself_alone() {
        let exif = exif(&file(true, 0xFFFF_0000), None).unwrap();
        let (tiff, first) = Tiff::open(&exif).unwrap();
        let tags: Vec<u16> = tiff.entries(first).unwrap().iter().map(|entry| entry.tag).collect();
        assert_eq!(tags, [282, 283, 315, EXIF]);
    }

    #[test]
    fn nothing_panics() {
        let whole = file(false, 180);
        for end in 0..whole.len() {
            let _ = (exif(&whole[..end], None), kept(&whole[..end], None));
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = (exif(&bytes, None), kept(&bytes, None));
            }
        }
    }
}
