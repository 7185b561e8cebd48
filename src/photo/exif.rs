//! EXIF: how a picture is turned, and what of it a result keeps, without what no longer holds.
//!
//! Values are changed in their places and nothing moves, since makers' notes hold offsets that only
//! their makers know. Layout: TIFF 6.0, section 2; tags: CIPA DC-008.

use image::metadata::Orientation;

use super::tiff::directory::Structure;

/// Bytes of an entry: tag, type, count, value or its offset.
const ENTRY: usize = 12;
const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;

const WIDTH: u16 = 0x0100;
const HEIGHT: u16 = 0x0101;
const ORIENTATION: u16 = 0x0112;
const EXIF_DIRECTORY: u16 = 0x8769;
const GPS_DIRECTORY: u16 = 0x8825;
const EXIF_WIDTH: u16 = 0xA002;
const EXIF_HEIGHT: u16 = 0xA003;

/// The value of [`ORIENTATION`] that turns nothing.
const UPRIGHT: u32 = 1;

/// The EXIF that counts of several: the first one that says how the picture is turned, or else the
/// first that can be read, or else the first; and how many others there are.
pub(super) fn chosen(mut all: Vec<Vec<u8>>) -> (Option<Vec<u8>>, usize) {
    if all.is_empty() {
        return (None, 0);
    }
    let said = all.iter().position(|exif| told(exif).is_some());
    let index = said.or_else(|| all.iter().position(|exif| is_readable(exif))).unwrap_or(0);
    let chosen = all.swap_remove(index);
    let others = all.iter().filter(|other| **other != chosen).count();
    (Some(chosen), others)
}

/// How the picture is to be turned. Only what [`of_result`] would set to "upright" counts, so that
/// what was not applied is never said to be.
pub(super) fn orientation(exif: Option<&[u8]>) -> Orientation {
    exif.and_then(told).unwrap_or(Orientation::NoTransforms)
}

fn told(exif: &[u8]) -> Option<Orientation> {
    let value = value(exif)?;
    let after = of_result(exif, 1, 1)?;
    let is_rewritten = self::value(&after.bytes) == Some(UPRIGHT as usize);
    is_rewritten.then(|| Orientation::from_exif(u8::try_from(value).ok()?)).flatten()
}

fn value(exif: &[u8]) -> Option<usize> {
    let (structure, first) = Structure::open(exif)?;
    structure.value(&structure.directory(first)?, ORIENTATION)
}

fn is_readable(exif: &[u8]) -> bool {
    of_result(exif, 1, 1).is_some()
}

/// The EXIF of a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub bytes: Vec<u8>,
    /// Whether a directory below the first was damaged, and is left out.
    pub damaged: bool,
}

/// `exif` for an upright picture of this size, without a thumbnail, and without directories that
/// are damaged; `None` when the first one is.
pub(super) fn of_result(exif: &[u8], height: usize, width: usize) -> Option<Rewritten> {
    let mut tiff = Tiff::open(exif.to_vec())?;
    let (height, width) = (u32::try_from(height).ok()?, u32::try_from(width).ok()?);
    let first = tiff.first()?;
    let (mut inner, mut damaged) = (Vec::new(), false);
    for entry in tiff.entries(first)?.into_iter().rev() {
        match tiff.short(entry)? {
            WIDTH => tiff.set(entry, width)?,
            HEIGHT => tiff.set(entry, height)?,
            ORIENTATION => tiff.set(entry, UPRIGHT)?,
            tag @ (EXIF_DIRECTORY | GPS_DIRECTORY) => {
                match tiff.long(entry + 8).and_then(|at| tiff.entries(at as usize)) {
                    Some(entries) if tag == EXIF_DIRECTORY => inner = entries,
                    Some(_) => {}
                    None => {
                        tiff.remove(first, entry)?;
                        damaged = true;
                    }
                }
            }
            _ => {}
        }
    }
    // The second directory is that of the thumbnail, which shows the picture as it was. Some end
    // without saying that there is none.
    let end = first + 2 + tiff.entries(first)?.len() * ENTRY;
    let _ = tiff.put(end, 0_u32.to_be_bytes());
    for entry in inner {
        match tiff.short(entry)? {
            EXIF_WIDTH => tiff.set(entry, width)?,
            EXIF_HEIGHT => tiff.set(entry, height)?,
            _ => {}
        }
    }
    Some(Rewritten { bytes: tiff.bytes, damaged })
}

/// A TIFF structure of either byte order. Every access outside of it is `None`.
pub(super) struct Tiff {
    bytes: Vec<u8>,
    big: bool,
}

impl Tiff {
    /// `None` when these bytes are not such a structure.
    pub(super) fn open(bytes: Vec<u8>) -> Option<Self> {
        let tiff = Self { big: bytes.starts_with(b"MM"), bytes };
        let known = tiff.big || tiff.bytes.starts_with(b"II");
        (known && tiff.short(2)? == 42).then_some(tiff)
    }

    /// Where the first directory is.
    pub(super) fn first(&self) -> Option<usize> {
        self.long(4).map(|at| at as usize)
    }

    /// Takes the entry at `entry` out of the directory at `at`; those behind it move up.
    fn remove(&mut self, at: usize, entry: usize) -> Option<()> {
        let end = at + 2 + self.entries(at)?.len() * ENTRY;
        let count = self.short(at)?.checked_sub(1)?;
        self.bytes.copy_within(entry + ENTRY..end, entry);
        self.bytes.get_mut(end - ENTRY..end)?.fill(0);
        self.put(at, count.to_be_bytes())
    }

    fn get<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
        if !self.big {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn put<const N: usize>(&mut self, at: usize, mut bytes: [u8; N]) -> Option<()> {
        if !self.big {
            bytes.reverse();
        }
        self.bytes.get_mut(at..at.checked_add(N)?)?.copy_from_slice(&bytes);
        Some(())
    }

    pub(super) fn short(&self, at: usize) -> Option<u16> {
        self.get(at).map(u16::from_be_bytes)
    }

    fn long(&self, at: usize) -> Option<u32> {
        self.get(at).map(u32::from_be_bytes)
    }

    /// Where the entries of the directory at `at` begin.
    pub(super) fn entries(&self, at: usize) -> Option<Vec<usize>> {
        let count = usize::from(self.short(at)?);
        let first = at.checked_add(2)?;
        let end = first.checked_add(count * ENTRY)?;
        (end <= self.bytes.len()).then(|| (first..end).step_by(ENTRY).collect())
    }

    /// Sets the only value of an entry, where it is of a kind that holds it.
    fn set(&mut self, entry: usize, value: u32) -> Option<()> {
        match (self.short(entry + 2)?, self.long(entry + 4)?) {
            (BYTE, 1) => self.put(entry + 8, [u8::try_from(value).unwrap_or_default()]),
            // A short value stands at the beginning of its field. One that does not fit: 0 stands
            // for "unknown" in readers of EXIF.
            (SHORT, 1) => {
                self.put(entry + 8, u16::try_from(value).unwrap_or_default().to_be_bytes())
            }
            (LONG, 1) => self.put(entry + 8, value.to_be_bytes()),
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orientation 6, a directory with the size 4000×3000, a text, and a thumbnail's directory.
    fn exif(big: bool) -> Vec<u8> {
        let mut bytes = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        let short = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
            [&short(tag)[..], &short(kind), &long(count), &value].concat()
        };
        let in_field = |v: u16| [short(v)[0], short(v)[1], 0, 0];
        let (maker, turned, inner) = (
            entry(0x010F, 2, 3, *b"me\0\0"),
            entry(ORIENTATION, SHORT, 1, in_field(6)),
            entry(EXIF_DIRECTORY, LONG, 1, long(50)),
        );
        let (width, height) =
            (entry(EXIF_WIDTH, SHORT, 1, in_field(4000)), entry(EXIF_HEIGHT, LONG, 1, long(3000)));
        bytes.extend(long(8));
        bytes.extend([&short(3)[..], &maker, &turned, &inner, &long(80)].concat());
        bytes.extend([&short(2)[..], &width, &height, &long(0)].concat());
        bytes.extend([&short(0)[..], &long(0)].concat());
        bytes
    }

    #[test]
    fn turned_upright_told_its_size_and_without_thumbnail() {
        for big in [false, true] {
            let before = exif(big);
            let after = of_result(&before, 200, 70_000).unwrap();
            assert_eq!((after.bytes.len(), after.damaged), (before.len(), false));
            let tiff = Tiff { bytes: after.bytes, big };
            assert_eq!(tiff.short(10 + 12 + 8), Some(1), "orientation");
            assert_eq!(tiff.long(10 + 36), Some(0), "no thumbnail");
            assert_eq!(tiff.short(52 + 8), Some(0), "70000 does not fit a SHORT");
            assert_eq!(tiff.long(52 + 12 + 8), Some(200));
            assert_eq!(tiff.bytes[10 + 8..10 + 10], *b"me");
        }
    }

    #[test]
    fn one_reader_turns_and_rewrites() {
        for big in [false, true] {
            let long = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
            for (kind, value) in [(BYTE, [6, 0, 0, 0]), (LONG, long(6))] {
                let mut bytes = exif(big);
                let at = 10 + ENTRY;
                let kind = if big { kind.to_be_bytes() } else { kind.to_le_bytes() };
                bytes[at + 2..at + 4].copy_from_slice(&kind);
                bytes[at + 8..at + 12].copy_from_slice(&value);
                assert_eq!(orientation(Some(&bytes)), Orientation::Rotate90);
                let after = of_result(&bytes, 10, 10).unwrap().bytes;
                assert_eq!(orientation(Some(&after)), Orientation::NoTransforms);
            }
            assert_eq!(orientation(Some(&exif(big))), Orientation::Rotate90);
            // Two values: the result would still say the first.
            let mut two = exif(big);
            let count = 10 + ENTRY + 4;
            two[count..count + 4].copy_from_slice(&long(2));
            assert_eq!(orientation(Some(&two)), Orientation::NoTransforms);
            let (found, others) = chosen(vec![b"II*".to_vec(), exif(big), exif(!big)]);
            assert_eq!((found, others), (Some(exif(big)), 2));
        }
        assert_eq!(chosen(Vec::new()), (None, 0));
    }

    #[test]
    fn a_bad_pointer_costs_its_directory_alone() {
        for big in [false, true] {
            let mut bytes = exif(big);
            // The pointer to the directory of EXIF is the last of three entries.
            bytes[10 + 24 + 8..10 + 24 + 12].fill(0x7F);
            let after = of_result(&bytes, 1, 1).unwrap();
            assert!(after.damaged);
            let tiff = Tiff { bytes: after.bytes, big };
            assert_eq!(tiff.short(8), Some(2));
            assert_eq!(tiff.bytes[10 + 8..10 + 10], *b"me");
            assert_eq!(tiff.long(10 + 24), Some(0), "no thumbnail");
        }
    }

    #[test]
    fn damaged_ones_are_left_out_and_none_panics() {
        let whole = exif(false);
        for end in 0..46 {
            assert_eq!(of_result(&whole[..end], 1, 1), None, "{end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Some(after) = of_result(&bytes, 1, 1) {
                    assert_eq!(after.bytes.len(), whole.len());
                }
            }
        }
        assert_eq!(of_result(b"", 1, 1), None);
    }
}
