//! Kinds of pictures that are not read, told by their first bytes, so that the message can name
//! them.
//!
//! AVIF and HEIC are among them: their decoders are C libraries with a build of their own (dav1d,
//! libde265), and those in Rust are not yet kept well enough for files from strangers.

/// The name of the format of `bytes` and how to come to one that is read, where it is a known one.
pub(super) fn named(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const SAVE: &str = "save it as PNG or JPEG first";
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(match bytes.get(8..12)? {
            b"avif" | b"avis" => ("AVIF", "`avifdec a.avif a.png` or any browser saves it as PNG"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => (
                "HEIC",
                "`heif-dec a.heic a.png` saves it as PNG, and phones have a setting \"most \
                 compatible\" that takes JPEG",
            ),
            b"crx " => ("a camera's raw", "develop it to TIFF or JPEG first"),
            _ => ("a video", "take its frames out first, as with `ffmpeg -i a.mp4 %05d.png`"),
        });
    }
    Some(match () {
        () if starts(b"\0\0\0\x0CJXL ") || starts(b"\xFF\x0A") => {
            ("JPEG XL", "`djxl a.jxl a.png` saves it as PNG")
        }
        () if starts(b"\0\0\0\x0CjP  ") || starts(b"\xFF\x4F\xFF\x51") => ("JPEG 2000", SAVE),
        () if starts(b"GIF8") => ("GIF", SAVE),
        () if starts(b"8BPS") => ("Photoshop", SAVE),
        () if starts(b"%PDF") => ("PDF", "take its pictures out first, as with `pdfimages -all`"),
        () if starts(b"\x76\x2F\x31\x01") => ("OpenEXR", SAVE),
        () if starts(b"\xABKTX ") || starts(b"DDS ") => ("a texture", SAVE),
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn formats_by_their_first_bytes() {
        let name = |bytes: &[u8]| named(bytes).map(|(name, _)| name);
        assert_eq!(name(b"\0\0\0\x20ftypheic\0\0\0\0"), Some("HEIC"));
        assert_eq!(name(b"\0\0\0\x20ftypavif\0\0\0\0"), Some("AVIF"));
        assert_eq!(name(b"\0\0\0\x20ftypisom\0\0\0\0"), Some("a video"));
        assert_eq!(name(b"GIF89a"), Some("GIF"));
        assert_eq!(name(b"\xFF\xD8\xFF\xE0"), None);
        assert_eq!(name(b"\0\0\0\x20ftyp"), None);
        assert_eq!(name(b""), None);
    }
}
