//! The parts of picture files that hold more than pixels, as they lie in the file.

/// A segment of a JPEG file: ITU-T T.81, B.1.1.4.
pub(super) struct Segment<'a> {
    /// The second byte of its marker.
    pub marker: u8,
    /// What follows its length.
    pub data: &'a [u8],
}

/// The segments of a JPEG file before its first scan.
pub(super) fn of_jpeg(file: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    const SOS: u8 = 0xDA;
    const EOI: u8 = 0xD9;
    let mut rest = file.get(2..).filter(|_| file.starts_with(&[0xFF, 0xD8])).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            // Anything may stand between segments, fill bytes above all.
            let at = rest.windows(2).position(|w| w[0] == 0xFF && !matches!(w[1], 0 | 0xFF))?;
            let marker = rest[at + 1];
            rest = &rest[at + 2..];
            match marker {
                SOS | EOI => {
                    rest = &[];
                    return None;
                }
                // Markers without a segment.
                0x01 | 0xD0..=0xD8 => continue,
                _ => {}
            }
            let (length, _) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let data = rest.get(2..length);
            rest = rest.get(length.max(2)..).unwrap_or_default();
            return data.map(|data| Segment { marker, data });
        }
    })
}

/// A chunk of a PNG or WebP file.
pub(super) struct Chunk<'a> {
    pub kind: [u8; 4],
    pub data: &'a [u8],
}

/// The chunks of a PNG file: its specification, section 5.3.
pub(super) fn of_png(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = file.strip_prefix(b"\x89PNG\r\n\x1a\n".as_slice()).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let data = after.get(..length)?;
        // A checksum ends the chunk.
        rest = after.get(length.checked_add(4)?..)?;
        Some(Chunk { kind: *kind, data })
    })
}

/// The chunks of a WebP file: RFC 9649, 2.3.
pub(super) fn of_webp(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let is_webp = file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP");
    let mut rest = file.get(12..).filter(|_| is_webp).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let data = after.get(..length)?;
        // Odd ones are padded.
        rest = after.get(length.checked_add(length % 2)?..).unwrap_or_default();
        Some(Chunk { kind: *kind, data })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_chunks_end_where_the_file_does() {
        let jpeg = b"\xFF\xD8\xFF\xFF\xE1\0\x05abc\0\xFF\xFE\0\x03!\xFF\xDA\0\x02\xFF\xE2\0\x02";
        let found: Vec<_> = of_jpeg(jpeg).map(|s| (s.marker, s.data)).collect();
        assert_eq!(found, [(0xE1, &b"abc"[..]), (0xFE, b"!")]);
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x02gAMAxy....\0\0\0\x09tEXt";
        let found: Vec<_> = of_png(png).map(|c| (c.kind, c.data)).collect();
        assert_eq!(found, [(*b"gAMA", &b"xy"[..])]);
        let webp = b"RIFF....WEBPXMP \x03\0\0\0abc\0EXIF\x01\0\0\0x";
        let found: Vec<_> = of_webp(webp).map(|c| (c.kind, c.data)).collect();
        assert_eq!(found, [(*b"XMP ", &b"abc"[..]), (*b"EXIF", b"x")]);
        for end in 0..jpeg.len() {
            assert!(of_jpeg(&jpeg[..end]).count() <= 2);
        }
        for end in 0..png.len() {
            assert!(of_png(&png[..end]).count() <= 1 && of_webp(&webp[..end.min(30)]).count() <= 2);
        }
    }
}
