//! How the pixels of a directory lie in the file.

use super::super::jpeg::Fault;
use super::directory::{Directory, Structure};

/// What the fields of a directory say about its pixels.
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bits of each sample.
    pub(super) bits: usize,
    pub(super) numbers: Numbers,
    /// Samples of a pixel.
    pub(super) samples: usize,
    pub(super) colours: Colours,
    pub(super) alpha: Option<Alpha>,
    pub(super) compression: usize,
    pub(super) predictor: usize,
    /// Each byte's first pixel is in its lowest bit.
    pub(super) reversed: bool,
    /// Each sample of a pixel has parts of its own.
    pub(super) planes: bool,
    /// Width and height of a part; parts at the right are as wide, strips at the bottom are lower.
    pub(super) part: (usize, usize),
    pub(super) tiled: bool,
    pub(super) offsets: Vec<usize>,
    pub(super) lengths: Vec<usize>,
    /// Luma samples per chroma sample, across and down.
    pub(super) subsampling: (usize, usize),
}

/// What a sample's bits are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Numbers {
    Unsigned,
    Float,
}

/// What a pixel's samples are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Colours {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    YCbCr,
}

impl Colours {
    /// Samples of a pixel without transparency.
    pub(super) const fn samples(self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
        }
    }
}

/// Which sample is transparency, and whether colours were multiplied by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Alpha {
    pub(super) sample: usize,
    pub(super) premultiplied: bool,
}

pub(super) const NONE: usize = 1;
pub(super) const GROUP_4: usize = 4;
pub(super) const LZW: usize = 5;
pub(super) const JPEG: usize = 7;
pub(super) const DEFLATE: usize = 8;
pub(super) const PACK_BITS: usize = 32_773;
pub(super) const OLD_DEFLATE: usize = 32_946;
pub(super) const ZSTD: usize = 50_000;
/// Fields (TIFF 6.0, section 8 and following).
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const SUBSAMPLING: u16 = 530;

/// More samples than any picture has: color, transparency, and what programs add.
const MOST_SAMPLES: usize = 16;
const NO_SENSE: &str = "its header makes no sense";

impl Layout {
    pub(super) fn read(
        file: &Structure,
        directory: &Directory,
        notes: &mut Vec<String>,
    ) -> Result<Self, Fault> {
        let value = |tag| file.value(directory, tag);
        let or = |tag, default| value(tag).unwrap_or(default);
        let width = value(WIDTH).ok_or("it does not say how wide it is")?;
        let height = value(HEIGHT).ok_or("it does not say how high it is")?;
        let samples = or(SAMPLES, 1);
        if samples == 0 || samples > MOST_SAMPLES {
            return not_read(&format!("TIFF with {samples} samples per pixel"));
        }
        let all_bits = file.values(directory, BITS).unwrap_or_else(|| vec![1]);
        let bits = all_bits.first().copied().unwrap_or(1);
        if all_bits.iter().any(|&b| b != bits) {
            return not_read("TIFF whose samples have different numbers of bits");
        }
        let formats = file.values(directory, SAMPLE_FORMAT).unwrap_or_default();
        let numbers = match formats.first().copied().unwrap_or(1) {
            1 | 4 => Numbers::Unsigned,
            3 => Numbers::Float,
            2 => return not_read("TIFF with signed samples"),
            _ => return not_read("TIFF with complex samples"),
        };
        let known = match numbers {
            Numbers::Unsigned => (1..=16).contains(&bits) || bits == 24 || bits == 32,
            Numbers::Float => matches!(bits, 16 | 32 | 64),
        };
        if !known {
            return not_read(&format!("TIFF with {bits} bits per sample"));
        }
        let compression = or(COMPRESSION, NONE);
        check(compression)?;
        let colours = match value(PHOTOMETRIC) {
            Some(0) => Colours::WhiteIsZero,
            Some(1 | 4) => Colours::BlackIsZero,
            Some(2) => Colours::Rgb,
            Some(3) => Colours::Palette,
            Some(5) => return Err(Fault::NotRead(super::super::formats::CMYK.to_owned())),
            Some(6) => Colours::YCbCr,
            Some(8..=10) => return not_read("TIFF with the colours of CIE L*a*b*"),
            Some(other) => return not_read(&format!("TIFF with colours of kind {other}")),
            None if compression == GROUP_4 => Colours::WhiteIsZero,
            None if samples >= 3 => Colours::Rgb,
            None => Colours::BlackIsZero,
        };
        if samples < colours.samples() {
            return Err("it has too few samples per pixel".into());
        }
        let extra = file.values(directory, EXTRA_SAMPLES);
        let alpha = alpha(colours.samples(), samples, extra.as_deref(), notes);
        let (part, tiled, offsets, lengths) = match value(TILE_WIDTH) {
            Some(across) => {
                let down = value(TILE_HEIGHT).ok_or(NO_SENSE)?;
                let offsets = file.values(directory, TILE_OFFSETS);
                let offsets = offsets.or_else(|| file.values(directory, STRIP_OFFSETS));
                let lengths = file.values(directory, TILE_LENGTHS);
                let lengths = lengths.or_else(|| file.values(directory, STRIP_LENGTHS));
                ((across, down), true, offsets, lengths)
            }
            None => {
                let rows = or(ROWS_PER_STRIP, height).clamp(1, height.max(1));
                let offsets = file.values(directory, STRIP_OFFSETS);
                ((width, rows), false, offsets, file.values(directory, STRIP_LENGTHS))
            }
        };
        let offsets = offsets.ok_or("it does not say where its pixels are")?;
        // Some writers of one uncompressed strip leave its length out.
        let rest = |&at: &usize| file.bytes.len().saturating_sub(at);
        let lengths = lengths.unwrap_or_else(|| offsets.iter().map(rest).collect());
        let subsampling = match file.values(directory, SUBSAMPLING).as_deref() {
            _ if colours != Colours::YCbCr => (1, 1),
            Some(&[across, down]) => (across, down),
            _ => (2, 2),
        };
        if !matches!(subsampling, (1 | 2 | 4, 1 | 2 | 4)) {
            return Err(NO_SENSE.into());
        }
        if part.0 == 0 || part.1 == 0 {
            return Err(NO_SENSE.into());
        }
        Ok(Self {
            width,
            height,
            bits,
            numbers,
            samples,
            colours,
            alpha,
            compression,
            predictor: or(PREDICTOR, 1),
            reversed: or(FILL_ORDER, 1) == 2,
            planes: samples > 1 && or(PLANAR, 1) == 2,
            part,
            tiled,
            offsets,
            lengths,
            subsampling,
        })
    }
}

pub(super) fn not_read<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::NotRead(format!("{what} is not read; save it as 8-bit or 16-bit RGB first")))
}

fn check(compression: usize) -> Result<(), Fault> {
    let name = match compression {
        NONE | GROUP_4 | LZW | JPEG | DEFLATE | PACK_BITS | OLD_DEFLATE | ZSTD => return Ok(()),
        2 => "CCITT Huffman",
        3 => "CCITT Group 3",
        6 => "JPEG in the way of 1992",
        34_661 | 34_663 => "JBIG",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_001 => "WebP",
        // These libtiff's tools do not read either.
        33_003 | 33_005 | 34_712 => return not_read("TIFF with compression JPEG 2000"),
        50_002 | 52_546 => return not_read("TIFF with compression JPEG XL"),
        other => return not_read(&format!("TIFF with compression of kind {other}")),
    };
    Err(Fault::NotRead(format!(
        "TIFF with compression {name} is not read; `tiffcp -c lzw a.tif b.tif` packs it in another way"
    )))
}

/// TIFF 6.0, section 18.
fn alpha(
    colours: usize,
    samples: usize,
    extra: Option<&[usize]>,
    notes: &mut Vec<String>,
) -> Option<Alpha> {
    let left = samples - colours;
    let found = match extra {
        // Many writers of RGBA say nothing.
        None => (left == 1).then_some(Alpha { sample: colours, premultiplied: false }),
        Some(kinds) => {
            let at = kinds.iter().take(left).position(|kind| matches!(kind, 1 | 2));
            at.map(|at| Alpha { sample: colours + at, premultiplied: kinds[at] == 1 })
        }
    };
    let dropped = left - usize::from(found.is_some());
    if dropped > 0 {
        notes.push(format!(
            "{dropped} further samples of each pixel have no meaning here and are left out"
        ));
    }
    found
}
