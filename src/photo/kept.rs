//! The contents of a file beside its pixels and its EXIF.

use std::io::{Cursor, Read as _};

use image::ImageDecoder as _;
use image::codecs::gif::GifDecoder;

use super::tiff::Tiff;
use super::{Format, pages, quality, segments, tiff_tags, webp};

/// Metadata that the result's file keeps unchanged, where its format has a place for them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Whether the picture lies in its file in another way than upright.
    pub turned: bool,
    /// The quality of a JPEG, 1 to 100, as its quantisation tables tell it.
    pub quality: Option<u8>,
    /// The quality of a lossy WebP, 1 to 100, as its quantizers tell it.
    pub webp_quality: Option<u8>,
    /// How large the picture is on paper.
    pub density: Option<Density>,
    /// An XMP packet.
    pub xmp: Option<Vec<u8>>,
    /// IPTC's records: IIM, version 4.
    pub iptc: Option<Vec<u8>>,
    /// The comment of a JPEG.
    pub comment: Option<Vec<u8>>,
    /// Chunks of a PNG that say how its colours are meant (gAMA, cHRM, sRGB, cICP, mDCV, cLLI), and
    /// its texts: the kind and the data of each.
    pub chunks: Vec<([u8; 4], Vec<u8>)>,
}

/// Hundredths of pixels per inch, in which a whole number comes back as one from pixels per metre.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Density {
    /// Across.
    pub x: u32,
    /// Down.
    pub y: u32,
}

/// Metres in an inch.
const INCH: f64 = 0.0254;
/// A text of a picture, uncompressed, is shorter.
pub(super) const LONGEST_TEXT: u64 = 16 << 20;

impl Density {
    /// `None` where these are not densities.
    pub(super) fn per_inch(x: f64, y: f64) -> Option<Self> {
        let holds = |v: f64| (0.01..=1e6).contains(&v);
        let hundredths = |v: f64| (v * 100.0).round() as u32;
        (holds(x) && holds(y)).then(|| Self { x: hundredths(x), y: hundredths(y) })
    }

    pub(super) fn per_metre(x: u32, y: u32) -> Option<Self> {
        Self::per_inch(f64::from(x) * INCH, f64::from(y) * INCH)
    }

    /// Pixels per metre.
    pub(super) fn in_metres(self) -> [u32; 2] {
        [self.x, self.y].map(|v| (f64::from(v) / 100.0 / INCH).round() as u32)
    }
}

pub(super) const XMP_HEADER: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
pub(super) const PHOTOSHOP_HEADER: &[u8] = b"Photoshop 3.0\0";
pub(super) const XMP_KEYWORD: &[u8] = b"XML:com.adobe.xmp";
pub(super) const IPTC_KEYWORD: &[u8] = b"Raw profile type iptc";

impl Kept {
    /// What `file` holds of its picture `index`, which matters in a TIFF.
    pub(super) fn of(file: &[u8], index: usize) -> Self {
        match Format::of_bytes(file) {
            Some(Format::Jpeg) => Self::of_jpeg(file),
            Some(Format::Png) => Self::of_png(file),
            Some(Format::WebP) => {
                let find = |kind: &[u8; 4]| {
                    segments::of_webp(file).find(|chunk| &chunk.kind == kind).map(|c| c.data)
                };
                // Only EXIF tells it.
                let density = find(b"EXIF").and_then(|exif| {
                    tiff_tags::density_of_exif(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
                });
                let xmp = find(b"XMP ").map(<[u8]>::to_vec);
                Self { density, xmp, webp_quality: webp::quality(file), ..Self::default() }
            }
            Some(Format::Tiff) => {
                let directory = Tiff::open(file).ok().and_then(|tiff| tiff.place(index));
                tiff_tags::kept(file, directory).unwrap_or_default()
            }
            Some(Format::Gif) => {
                let xmp = GifDecoder::new(Cursor::new(file)).ok();
                let xmp = xmp.and_then(|mut gif| gif.xmp_metadata().ok().flatten());
                Self { xmp, comment: pages::in_gif(file).comment, ..Self::default() }
            }
            Some(Format::Bmp) => {
                let long = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
                let density = long(38).zip(long(42)).and_then(|(x, y)| Density::per_metre(x, y));
                Self { density, ..Self::default() }
            }
            Some(Format::Avif | Format::Pnm) | None => Self::default(),
        }
    }

    /// Whether the colours of a PNG are meant otherwise than sRGB's, without a profile: where nobody
    /// says so they look another way.
    pub(super) fn has_odd_colours(&self) -> bool {
        let chunk = |kind: &[u8; 4]| self.chunks.iter().find(|chunk| &chunk.0 == kind);
        // 1/2.2, in units of 1/100000, and what it is rounded to.
        let is_usual = |data: &[u8]| match data.first_chunk() {
            Some(gamma) => (45_000..=45_600).contains(&u32::from_be_bytes(*gamma)),
            None => true,
        };
        let gamma = chunk(b"gAMA").is_some_and(|(_, data)| !is_usual(data));
        chunk(b"cICP").is_some() || (gamma && chunk(b"sRGB").is_none())
    }

    fn of_jpeg(file: &[u8]) -> Self {
        const APP0: u8 = 0xE0;
        const APP1: u8 = 0xE1;
        const APP13: u8 = 0xED;
        const COM: u8 = 0xFE;
        let mut kept = Self { quality: quality::of(file), ..Self::default() };
        let mut photoshop = Vec::new();
        for segment in segments::of_jpeg(file) {
            let data = segment.data;
            match segment.marker {
                APP0 => kept.density = kept.density.or_else(|| jfif_density(data)),
                APP1 => {
                    let packet = data.strip_prefix(XMP_HEADER).map(<[u8]>::to_vec);
                    kept.xmp = kept.xmp.or(packet);
                }
                // A long block goes on in the next segment.
                APP13 => photoshop.extend(data.strip_prefix(PHOTOSHOP_HEADER).unwrap_or_default()),
                COM if !data.is_empty() => {
                    kept.comment = kept.comment.or_else(|| Some(data.to_vec()))
                }
                _ => {}
            }
        }
        kept.iptc = iptc_of_photoshop(&photoshop);
        kept
    }

    fn of_png(file: &[u8]) -> Self {
        let mut kept = Self::default();
        // Others of their kind stay texts: unpacking all of a hostile file would take minutes.
        let (mut has_xmp, mut has_iptc) = (false, false);
        for chunk in segments::of_png(file) {
            let data = chunk.data;
            match &chunk.kind {
                b"pHYs" if data.len() == 9 && data[8] == 1 => {
                    let long = |at| data.get(at..).and_then(|rest| rest.first_chunk());
                    if let (Some(x), Some(y)) = (long(0), long(4)) {
                        let (x, y) = (u32::from_be_bytes(*x), u32::from_be_bytes(*y));
                        kept.density = Density::per_metre(x, y);
                    }
                }
                b"gAMA" | b"cHRM" | b"sRGB" | b"cICP" | b"mDCV" | b"cLLI" if data.len() <= 32 => {
                    kept.chunks.push((chunk.kind, data.to_vec()));
                }
                b"iTXt" if data.starts_with(XMP_KEYWORD) && !has_xmp => {
                    has_xmp = true;
                    kept.xmp = international_text(data);
                }
                b"zTXt" if data.starts_with(IPTC_KEYWORD) && !has_iptc => {
                    has_iptc = true;
                    kept.iptc = raw_profile(data);
                }
                b"tEXt" | b"zTXt" | b"iTXt" => kept.chunks.push((chunk.kind, data.to_vec())),
                _ => {}
            }
        }
        kept
    }
}

/// The density in the header of JFIF (1.02, page 5).
fn jfif_density(data: &[u8]) -> Option<Density> {
    let rest = data.strip_prefix(b"JFIF\0")?;
    let &[_, _, unit, x1, x0, y1, y0, ..] = rest else { return None };
    let [x, y] = [[x1, x0], [y1, y0]].map(|v| f64::from(u16::from_be_bytes(v)));
    match unit {
        1 => Density::per_inch(x, y),
        2 => Density::per_inch(x * 2.54, y * 2.54),
        _ => None,
    }
}

/// IPTC's records among Photoshop's resources.
fn iptc_of_photoshop(mut rest: &[u8]) -> Option<Vec<u8>> {
    const IPTC: [u8; 2] = 0x0404_u16.to_be_bytes();
    loop {
        let after = rest.strip_prefix(b"8BIM")?;
        let (kind, after) = after.split_first_chunk::<2>()?;
        // A name with its length before it, padded to an even size.
        let name = 1 + usize::from(*after.first()?);
        let after = after.get(name + name % 2..)?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let data = after.get(..length)?;
        if *kind == IPTC {
            return Some(data.to_vec());
        }
        rest = after.get(length + length % 2..)?;
    }
}

/// The text of an iTXt chunk (PNG, 11.3.3.4).
fn international_text(data: &[u8]) -> Option<Vec<u8>> {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let rest = parts.nth(1)?;
    let (&[compressed, _], rest) = rest.split_first_chunk::<2>()?;
    let mut parts = rest.splitn(3, |&byte| byte == 0);
    let text = parts.nth(2)?;
    if compressed == 0 { Some(text.to_vec()) } else { inflated(text) }
}

/// A profile as ImageMagick and ExifTool put it into a zTXt chunk: its name, its length and its
/// bytes in hexadecimal.
fn raw_profile(data: &[u8]) -> Option<Vec<u8>> {
    let at = data.iter().position(|&byte| byte == 0)?;
    let text = inflated(data.get(at + 2..)?)?;
    let text = std::str::from_utf8(&text).ok()?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let length: usize = lines.nth(1)?.parse().ok()?;
    let digits: Vec<u8> = lines.flat_map(str::bytes).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|v| v as u8);
    let pair = |pair: &[u8; 2]| Some(value(pair[0])? << 4 | value(pair[1])?);
    let bytes: Vec<u8> = digits.as_chunks().0.iter().map(pair).collect::<Option<_>>()?;
    // Photoshop's resources, or the records alone.
    let bytes = bytes.get(..length)?;
    let bytes = bytes.strip_prefix(PHOTOSHOP_HEADER).unwrap_or(bytes);
    Some(iptc_of_photoshop(bytes).unwrap_or_else(|| bytes.to_vec()))
}

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut from = flate2::read::ZlibDecoder::new(bytes).take(LONGEST_TEXT);
    from.read_to_end(&mut text).ok()?;
    Some(text)
}
