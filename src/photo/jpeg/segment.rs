//! The segments between a JPEG file's markers (ITU-T T.81, annex B): tables, the frame, scans, and
//! what applications store beside the pixels.

use super::Fault;
use super::frame::Frame;
use super::huffman::Huffman;

pub(super) const TEM: u8 = 0x01;
pub(super) const RST0: u8 = 0xD0;
pub(super) const RST7: u8 = 0xD7;
pub(super) const SOI: u8 = 0xD8;
pub(super) const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DHT: u8 = 0xC4;
const DAC: u8 = 0xCC;
const DNL: u8 = 0xDC;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;

/// Position of coefficient `k` of the zigzag sequence in the block (T.81, figure 5).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What the segments so far have said; each may be said again before any scan.
pub(super) struct Tables {
    /// Steps of quantisation, in the order of the block.
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    /// Bounds L and U of the arithmetic coder's categories of DC differences.
    pub(super) conditioning_dc: [(u8, u8); 4],
    /// Bound Kx of the arithmetic coder's categories of AC coefficients.
    pub(super) conditioning_ac: [u8; 4],
    /// MCUs between restarts; 0: there are none.
    pub(super) restart_interval: usize,
    /// Bytes between segments that belong to none.
    pub(super) skipped: usize,
    pub(super) jfif: bool,
    /// The colour transform that Adobe's segment names.
    pub(super) adobe: Option<u8>,
    /// All segments with EXIF, as TIFF structures.
    pub(super) exif: Vec<Vec<u8>>,
    icc: Vec<(u8, Vec<u8>)>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            quantisation: [None; 4],
            dc: Default::default(),
            ac: Default::default(),
            // T.81, F.1.4.4.1.4 and F.1.4.4.2.1.
            conditioning_dc: [(0, 1); 4],
            conditioning_ac: [5; 4],
            restart_interval: 0,
            skipped: 0,
            jfif: false,
            adobe: None,
            exif: Vec::new(),
            icc: Vec::new(),
        }
    }
}

/// The components that a scan holds, and which part of their coefficients.
pub(super) struct Scan {
    /// Index into the frame's components, table of DC, table of AC.
    pub(super) components: Vec<(usize, usize, usize)>,
    /// First and last coefficient of the zigzag sequence.
    pub(super) band: (usize, usize),
    /// Bits that were left out by the scan before (0: there was none) and that this one leaves out.
    pub(super) bits: (u8, u8),
}

/// What ends a run of segments.
pub(super) enum Next {
    /// Entropy-coded data follow.
    Scan(Scan),
    /// The end-of-image marker.
    End,
    /// The file ends without one.
    Missing,
}

/// Goes over the segments from `at`, by their lengths, so that the markers of an embedded thumbnail
/// do not count. Returns what comes then, and where it begins.
pub(super) fn read(
    bytes: &[u8],
    mut at: usize,
    tables: &mut Tables,
    frame: &mut Option<Frame>,
) -> Result<(Next, usize), Fault> {
    loop {
        // Everything up to the next marker is skipped: before the pixels, cameras write bytes that
        // belong to no segment.
        let Some(marker_at) = next_marker(bytes, at) else {
            return Ok((Next::Missing, bytes.len()));
        };
        let between = bytes.get(at..marker_at).unwrap_or_default();
        tables.skipped += between.iter().filter(|&&byte| byte != 0xFF).count();
        let marker = bytes[marker_at + 1];
        at = marker_at + 2;
        match marker {
            EOI => return Ok((Next::End, at)),
            TEM | RST0..=SOI => continue,
            _ => {}
        }
        let Some(segment) = segment(bytes, at) else { return Ok((Next::Missing, bytes.len())) };
        let start = at + 2;
        at = start + segment.len();
        match marker {
            SOS => {
                let frame = frame.as_ref().ok_or("its pixels come before its header")?;
                return Ok((Next::Scan(scan(segment, frame)?), at));
            }
            // The last is the frame of JPEG-LS (ITU-T T.87, table C.1).
            0xC0..=0xCF | 0xF7 if !matches!(marker, DHT | DAC | 0xC8) => {
                if frame.is_some() {
                    return Err("it has a second header".into());
                }
                let mut found = Frame::read(marker, segment)?;
                if found.height == 0 {
                    found.height = lines(&bytes[at..]);
                }
                *frame = Some(found);
            }
            DQT => quantisation(segment, tables)?,
            DHT => huffman(segment, tables)?,
            DAC => conditioning(segment, tables)?,
            DRI => match segment {
                &[high, low, ..] => {
                    tables.restart_interval = u16::from_be_bytes([high, low]).into();
                }
                _ => return Err(SHORT.into()),
            },
            APP0 if segment.starts_with(b"JFIF\0") => tables.jfif = true,
            APP1 => {
                if let Some(exif) = segment.strip_prefix(b"Exif\0") {
                    // A byte of padding follows, which is 0, or FF in files of some cameras.
                    tables.exif.extend(exif.get(1..).map(<[u8]>::to_vec));
                }
            }
            APP2 => {
                if let Some(&[number, _, ref part @ ..]) = segment.strip_prefix(b"ICC_PROFILE\0") {
                    tables.icc.push((number, part.to_vec()));
                }
            }
            APP14 if segment.starts_with(b"Adobe") => {
                tables.adobe = segment.get(11).copied().or(tables.adobe);
            }
            _ => {}
        }
    }
}

impl Tables {
    /// The colour profile, put together from its segments.
    pub(super) fn icc(&self) -> Option<Vec<u8>> {
        let mut parts: Vec<_> = self.icc.iter().collect();
        parts.sort_by_key(|(number, _)| *number);
        (!parts.is_empty()).then(|| parts.into_iter().flat_map(|(_, part)| part).copied().collect())
    }
}

const SHORT: &str = "one of its segments is too short";

/// Where the next marker stands: FF followed by neither 00 (a stuffed byte) nor FF (fill).
pub(super) fn next_marker(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let found = rest.windows(2).position(|w| w[0] == 0xFF && w[1] != 0 && w[1] != 0xFF)?;
    Some(at + found)
}

/// What the segment at `at` holds behind its length.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let &[high, low] = bytes.get(at..at + 2)? else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    bytes.get(at + 2..at + length.max(2))
}

/// The number of lines that a segment behind the first scan tells, where the frame does not.
fn lines(bytes: &[u8]) -> usize {
    let marker = [0xFF, DNL, 0, 4];
    let at = bytes.windows(marker.len()).position(|w| w == marker);
    match at.and_then(|at| bytes.get(at + 4..at + 6)) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]).into(),
        _ => 0,
    }
}

fn quantisation(mut segment: &[u8], tables: &mut Tables) -> Result<(), String> {
    while let Some((&head, rest)) = segment.split_first() {
        let size = if head >> 4 == 0 { 1 } else { 2 };
        let values = rest.get(..64 * size).ok_or(SHORT)?;
        let slot = tables.quantisation.get_mut(usize::from(head & 15));
        let slot = slot.ok_or("it has a fifth table of quantisation")?;
        let mut table = [0; 64];
        for (value, &to) in values.chunks(size).zip(&ZIGZAG) {
            table[usize::from(to)] = value.iter().fold(0, |sum, &v| sum << 8 | u16::from(v));
        }
        *slot = Some(table);
        segment = &rest[64 * size..];
    }
    Ok(())
}

fn huffman(mut segment: &[u8], tables: &mut Tables) -> Result<(), String> {
    while let Some((&head, rest)) = segment.split_first() {
        let lengths = rest.get(..16).ok_or(SHORT)?;
        let count: usize = lengths.iter().map(|&n| usize::from(n)).sum();
        let values = rest.get(16..16 + count).ok_or(SHORT)?;
        let kind = if head >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        let slot = kind.get_mut(usize::from(head & 15)).ok_or("it has a fifth Huffman table")?;
        *slot = Some(Huffman::new(lengths, values).ok_or("a Huffman table has no codes left")?);
        segment = &rest[16 + count..];
    }
    Ok(())
}

fn conditioning(segment: &[u8], tables: &mut Tables) -> Result<(), String> {
    for pair in segment.chunks_exact(2) {
        let at = usize::from(pair[0] & 15);
        match (pair[0] >> 4, tables.conditioning_dc.get_mut(at), tables.conditioning_ac.get_mut(at))
        {
            (0, Some(dc), _) if pair[1] & 15 <= pair[1] >> 4 => *dc = (pair[1] & 15, pair[1] >> 4),
            (1, _, Some(ac)) => *ac = pair[1],
            _ => return Err("its arithmetic coder's bounds make no sense".to_owned()),
        }
    }
    Ok(())
}

fn scan(segment: &[u8], frame: &Frame) -> Result<Scan, String> {
    let (&count, rest) = segment.split_first().ok_or(SHORT)?;
    let count = usize::from(count);
    let (pairs, band) = rest.split_at_checked(2 * count).ok_or(SHORT)?;
    let &[first, last, bits, ..] = band else { return Err(SHORT.to_owned()) };
    let mut components = Vec::<(usize, usize, usize)>::new();
    for pair in pairs.chunks_exact(2) {
        let index = frame.components.iter().position(|component| component.id == pair[0]);
        let index = index.ok_or("a scan is of a component that its header lacks")?;
        if components.iter().any(|&(other, ..)| other == index) {
            return Err("a scan names a component twice".to_owned());
        }
        let (dc, ac) = (pair[1] >> 4, pair[1] & 15);
        if dc > 3 || ac > 3 {
            return Err("a scan names a table that cannot be".to_owned());
        }
        components.push((index, dc.into(), ac.into()));
    }
    let (band, bits) = if frame.progressive {
        ((usize::from(first), usize::from(last)), (bits >> 4, bits & 15))
    } else {
        // Writers of sequential files do not always care for these.
        ((0, 63), (0, 0))
    };
    let (first, last) = band;
    let whole = !frame.progressive || if first == 0 { last == 0 } else { components.len() == 1 };
    if components.is_empty() || !whole || first > last || last > 63 {
        return Err("a scan has a header that makes no sense".to_owned());
    }
    // Each scan that refines brings one more bit.
    if bits.0 > 13 || bits.1 > 13 || bits.0 != 0 && bits.0 != bits.1 + 1 {
        return Err("a scan refines what was not there".to_owned());
    }
    Ok(Scan { components, band, bits })
}
