//! TIFF files, uncompressed: TIFF 6.0.
//!
//! EXIF is a TIFF structure itself, whose values say where in it they lie. The file begins with it,
//! so that everything in it stays in its place, makers' notes too, and the pixels come behind it.

use super::exif::Tiff;
use super::kept::{Density, Kept};
use super::tiff_tags::is_of_file;

/// What is written.
pub(super) struct Page<'a> {
    pub height: usize,
    pub width: usize,
    /// One for gray, three for colours, and one for transparency.
    pub channels: usize,
    /// `[height, width, channels]`.
    pub samples: Samples<'a>,
    pub icc: Option<&'a [u8]>,
}

pub(super) enum Samples<'a> {
    Bytes(&'a [u8]),
    Shorts(&'a [u16]),
}

const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const BYTE: u16 = 1;
const UNDEFINED: u16 = 7;
/// Bytes of a strip of rows, about, as the specification recommends for reading in small memory.
const STRIP: usize = 1 << 16;

/// The bytes of the file; `None` when it would have 4 GiB, which TIFF cannot.
pub(super) fn encoded(page: &Page<'_>, exif: Option<&[u8]>, kept: &Kept) -> Option<Vec<u8>> {
    let exif = exif.filter(|exif| Tiff::open(exif.to_vec()).is_some());
    let big = exif.is_some_and(|exif| exif.starts_with(b"MM"));
    let mut out = exif.map_or_else(|| b"II*\0\0\0\0\0".to_vec(), <[u8]>::to_vec);
    let mut own: Vec<Entry> = Vec::new();
    if let Some(tiff) = exif.and_then(|exif| Tiff::open(exif.to_vec())) {
        for at in tiff.entries(tiff.first()?)? {
            let tag = tiff.short(at)?;
            let is_density = matches!(tag, 282 | 283 | 296) && kept.density.is_some();
            if !is_of_file(tag) && !is_density {
                own.push((tag, exif?.get(at..at + 12)?.try_into().ok()?));
            }
        }
    }
    let [height, width, channels] = [page.height, page.width, page.channels].map(|v| v as u32);
    let deep = matches!(page.samples, Samples::Shorts(_));
    let bits = if deep { 16 } else { 8 };
    let row = page.width * page.channels * if deep { 2 } else { 1 };
    let rows = (STRIP / row.max(1)).clamp(1, page.height.max(1));
    out.resize(out.len().next_multiple_of(2), 0);
    let begin = out.len();
    match page.samples {
        Samples::Bytes(bytes) => out.extend(bytes),
        Samples::Shorts(shorts) => {
            out.extend(
                shorts.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() }),
            );
        }
    }
    let strips: Vec<[usize; 2]> = (0..page.height.div_ceil(rows))
        .map(|i| [begin + i * rows * row, rows.min(page.height - i * rows) * row])
        .collect();
    let part = |i: usize| strips.iter().map(|strip| strip[i] as u32).collect::<Vec<_>>();
    let mut to = Writer { out, big };
    own.extend([
        to.longs(256, &[width]),
        to.longs(257, &[height]),
        to.shorts(258, &vec![bits; page.channels]),
        to.shorts(259, &[1]),
        to.shorts(262, &[if channels < 3 { 1 } else { 2 }]),
        to.longs(273, &part(0)),
        to.shorts(274, &[1]),
        to.shorts(277, &[page.channels as u16]),
        to.longs(278, &[rows as u32]),
        to.longs(279, &part(1)),
        to.shorts(284, &[1]),
    ]);
    if page.channels.is_multiple_of(2) {
        // Colours are not multiplied by it.
        own.push(to.shorts(338, &[2]));
    }
    if let Some(density) = kept.density {
        let Density { x, y } = density;
        own.extend([to.rational(282, x), to.rational(283, y), to.shorts(296, &[2])]);
    }
    for (tag, kind, bytes) in [
        (700, BYTE, kept.xmp.as_deref()),
        (33_723, UNDEFINED, kept.iptc.as_deref()),
        (34_675, UNDEFINED, page.icc),
    ] {
        own.extend(bytes.map(|bytes| to.value(tag, kind, bytes.len(), bytes)));
    }
    own.sort_by_key(|entry| entry.0);
    own.dedup_by_key(|entry| entry.0);
    let directory = to.out.len();
    to.put(&(own.len() as u16).to_be_bytes());
    own.iter().for_each(|(_, entry)| to.out.extend(entry));
    to.put(&0_u32.to_be_bytes());
    let Writer { mut out, .. } = to;
    let directory = u32::try_from(directory).ok().filter(|_| u32::try_from(out.len()).is_ok())?;
    let place = if big { directory.to_be_bytes() } else { directory.to_le_bytes() };
    out.get_mut(4..8)?.copy_from_slice(&place);
    Some(out)
}

/// A tag, and its entry as it lies in the file.
type Entry = (u16, [u8; 12]);

struct Writer {
    out: Vec<u8>,
    big: bool,
}

impl Writer {
    /// Appends a number, which is given from its highest byte.
    fn put(&mut self, number: &[u8]) {
        if self.big {
            self.out.extend(number);
        } else {
            self.out.extend(number.iter().rev());
        }
    }

    /// An entry whose value is in the file's order of bytes.
    fn value(&mut self, tag: u16, kind: u16, count: usize, value: &[u8]) -> Entry {
        let mut field = [0; 4];
        if value.len() <= 4 {
            field[..value.len()].copy_from_slice(value);
        } else {
            // Whoever writes checks that all fits 32 bits.
            field = self.order((self.out.len() as u32).to_be_bytes());
            self.out.extend(value);
            self.out.resize(self.out.len().next_multiple_of(2), 0);
        }
        let (tag_bytes, kind) = (self.order(tag.to_be_bytes()), self.order(kind.to_be_bytes()));
        let count = self.order((count as u32).to_be_bytes());
        let mut entry = [0; 12];
        entry[..2].copy_from_slice(&tag_bytes);
        entry[2..4].copy_from_slice(&kind);
        entry[4..8].copy_from_slice(&count);
        entry[8..].copy_from_slice(&field);
        (tag, entry)
    }

    fn order<const N: usize>(&self, mut number: [u8; N]) -> [u8; N] {
        if !self.big {
            number.reverse();
        }
        number
    }

    fn shorts(&mut self, tag: u16, values: &[u16]) -> Entry {
        let bytes: Vec<u8> = values.iter().flat_map(|v| self.order(v.to_be_bytes())).collect();
        self.value(tag, SHORT, values.len(), &bytes)
    }

    fn longs(&mut self, tag: u16, values: &[u32]) -> Entry {
        let bytes: Vec<u8> = values.iter().flat_map(|v| self.order(v.to_be_bytes())).collect();
        self.value(tag, LONG, values.len(), &bytes)
    }

    fn rational(&mut self, tag: u16, hundredths: u32) -> Entry {
        let (above, below) =
            if hundredths.is_multiple_of(100) { (hundredths / 100, 1) } else { (hundredths, 100) };
        let bytes = [above, below].map(|v: u32| self.order(v.to_be_bytes())).concat();
        self.value(tag, RATIONAL, 1, &bytes)
    }
}
