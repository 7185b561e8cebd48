//! Metadata into files that were just encoded, where their encoders have no place for it.

use std::io::Write as _;

use super::kept::{Density, IPTC_KEYWORD, Kept, PHOTOSHOP_HEADER, XMP_HEADER, XMP_KEYWORD};
use super::segments;

/// A segment of JPEG holds this many bytes behind its length (ITU-T T.81, B.1.1.4).
const LONGEST_SEGMENT: usize = u16::MAX as usize - 2;

/// Whether `packet` fits one segment of a JPEG with its header.
pub(super) fn fits_jpeg(header: &[u8], packet: &[u8]) -> bool {
    header.len() + packet.len() <= LONGEST_SEGMENT
}

/// Puts `kept` into a JPEG that begins with JFIF's header, as it is encoded here.
pub(super) fn into_jpeg(file: &mut Vec<u8>, kept: &Kept) {
    const JFIF: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0";
    if let Some(density) = kept.density
        && file.starts_with(JFIF)
        && let Some(field) = file.get_mut(13..18)
    {
        let [x, y] = [density.x, density.y]
            .map(|v| u16::try_from((v + 50) / 100).unwrap_or(u16::MAX).max(1).to_be_bytes());
        field.copy_from_slice(&[1, x[0], x[1], y[0], y[1]]);
    }
    let mut segments = Vec::new();
    let mut add = |marker: u8, header: &[u8], data: &[u8]| {
        if fits_jpeg(header, data) {
            let length = (2 + header.len() + data.len()) as u16;
            segments.extend([&[0xFF, marker][..], &length.to_be_bytes(), header, data].concat());
        }
    };
    if let Some(xmp) = &kept.xmp {
        add(0xE1, XMP_HEADER, xmp);
    }
    if let Some(iptc) = &kept.iptc {
        add(0xED, PHOTOSHOP_HEADER, &resource(iptc));
    }
    if let Some(comment) = comment(kept) {
        add(0xFE, b"", &comment);
    }
    // Behind the segments of applications: EXIF comes first.
    let mut at = 2;
    while let Some(&[0xFF, 0xE0..=0xEF, high, low]) = file.get(at..at + 4) {
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    if at <= file.len() {
        file.splice(at..at, segments);
    }
}

/// IPTC's records as a resource of Photoshop.
pub(super) fn resource(iptc: &[u8]) -> Vec<u8> {
    let mut out = b"8BIM\x04\x04\0\0".to_vec();
    out.extend((iptc.len() as u32).to_be_bytes());
    out.extend(iptc);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

/// The comment of a picture, in a JPEG or as PNG's text of that name.
pub(super) fn comment(kept: &Kept) -> Option<Vec<u8>> {
    let text = |(kind, data): &([u8; 4], Vec<u8>)| {
        let text = data.strip_prefix(b"Comment\0").filter(|_| kind == b"tEXt")?;
        Some(text.to_vec())
    };
    kept.comment.clone().or_else(|| kept.chunks.iter().find_map(text))
}

/// Puts `kept` into a PNG, behind its header. `has_profile`: the file has an ICC profile, beside
/// which sRGB may not stand.
pub(super) fn into_png(file: &mut Vec<u8>, kept: &Kept, has_profile: bool) {
    // Signature, and the header with its length, kind and checksum.
    const HEADER: usize = 8 + 25;
    let mut chunks = Vec::new();
    for (kind, data) in &kept.chunks {
        if !(has_profile && kind == b"sRGB") {
            push_chunk(&mut chunks, kind, data);
        }
    }
    if let Some(density) = kept.density {
        let [x, y] = density.in_metres();
        let data = [&x.to_be_bytes()[..], &y.to_be_bytes(), &[1]].concat();
        push_chunk(&mut chunks, b"pHYs", &data);
    }
    if let Some(xmp) = &kept.xmp {
        // Not compressed, without language and translated keyword.
        push_chunk(&mut chunks, b"iTXt", &[XMP_KEYWORD, &[0; 5], xmp].concat());
    }
    if let Some(iptc) = &kept.iptc
        && let Some(text) = raw_profile(iptc)
    {
        push_chunk(&mut chunks, b"zTXt", &[IPTC_KEYWORD, &[0; 2], &text].concat());
    }
    if let Some(comment) = &kept.comment {
        push_chunk(&mut chunks, b"tEXt", &[b"Comment\0", comment.as_slice()].concat());
    }
    if file.len() >= HEADER {
        file.splice(HEADER..HEADER, chunks);
    }
}

fn push_chunk(to: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(data);
    to.extend((data.len() as u32).to_be_bytes());
    to.extend([kind.as_slice(), data, &sum.sum().to_be_bytes()].concat());
}

/// IPTC's records as ImageMagick and ExifTool put them into PNG, compressed.
fn raw_profile(iptc: &[u8]) -> Option<Vec<u8>> {
    use std::fmt::Write as _;
    let bytes = resource(iptc);
    let mut text = format!("\nIPTC profile\n{:8}\n", bytes.len());
    for line in bytes.chunks(36) {
        for byte in line {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    to.write_all(text.as_bytes()).ok()?;
    to.finish().ok()
}

/// What goes into a WebP file beside its pixels.
pub(super) struct WebPParts<'a> {
    pub icc: Option<&'a [u8]>,
    pub exif: Option<&'a [u8]>,
    pub xmp: Option<&'a [u8]>,
}

/// Puts `parts` into a WebP file of one picture of `height × width` pixels: RFC 9649, 2.7.
pub(super) fn into_webp(
    file: &mut Vec<u8>,
    parts: &WebPParts,
    [height, width]: [usize; 2],
    alpha: bool,
) {
    const ICC: u8 = 0x20;
    const ALPHA: u8 = 0x10;
    const EXIF: u8 = 0x08;
    const XMP: u8 = 0x04;
    let WebPParts { icc, exif, xmp } = *parts;
    if icc.is_none() && exif.is_none() && xmp.is_none() {
        return;
    }
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    let flags = flag(icc.is_some(), ICC)
        | flag(alpha, ALPHA)
        | flag(exif.is_some(), EXIF)
        | flag(xmp.is_some(), XMP);
    let side = |side: usize| (side as u32).saturating_sub(1).to_le_bytes();
    let head = [&[flags, 0, 0, 0], &side(width)[..3], &side(height)[..3]].concat();
    let pixels = segments::of_webp(file).filter(|c| matches!(&c.kind, b"ALPH" | b"VP8 " | b"VP8L"));
    let mut chunks = vec![(*b"VP8X", head.as_slice())];
    chunks.extend(icc.map(|icc| (*b"ICCP", icc)));
    chunks.extend(pixels.map(|chunk| (chunk.kind, chunk.data)));
    chunks.extend(exif.map(|exif| (*b"EXIF", exif)));
    chunks.extend(xmp.map(|xmp| (*b"XMP ", xmp)));
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend(kind);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(data);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    *file = [b"RIFF", (body.len() as u32).to_le_bytes().as_slice(), &body].concat();
}

/// Puts the density into the header of a BMP.
pub(super) fn into_bmp(file: &mut [u8], density: Density) {
    let [x, y] = density.in_metres().map(u32::to_le_bytes);
    if let Some(field) = file.get_mut(38..46) {
        field.copy_from_slice(&[x, y].concat());
    }
}
