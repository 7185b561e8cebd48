//! Kinds of pictures that are not read, told by their first bytes, so that the message can name
//! them.

/// A sentence that names the format of `bytes` and how to come to one that is read, where it is a
/// known one that is not.
pub(super) fn named(bytes: &[u8]) -> Option<String> {
    const SAVE: &str = "save it as PNG or JPEG first";
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if bytes.get(4..8) == Some(b"ftyp") {
        let (name, advice) = match bytes.get(8..12)? {
            b"crx " => return Some(raw("CR3")),
            _ if is_heif(bytes) && cfg!(feature = "codecs") => return None,
            _ if is_heif(bytes) => (
                "HEIC or AVIF",
                "`heif-convert a.heic a.png` or `avifdec a.avif a.png` saves it as PNG",
            ),
            _ => ("a video", "take its frames out first, as with `ffmpeg -i a.mp4 %05d.png`"),
        };
        return Some(format!("{name} is not read; {advice}"));
    }
    let camera = match () {
        () if starts(b"FUJIFILMCCD-RAW") => Some("RAF"),
        () if starts(b"IIRO") || starts(b"IIRS") || starts(b"MMOR") => Some("ORF"),
        () if starts(b"IIU\0") => Some("RW2"),
        () if starts(b"FOVb") => Some("X3F"),
        () if starts(b"\0MRM") => Some("MRW"),
        () if bytes.get(6..14) == Some(b"HEAPCCDR") => Some("CRW"),
        () => None,
    };
    if let Some(camera) = camera {
        return Some(raw(camera));
    }
    let (name, advice) = match () {
        #[cfg(target_arch = "wasm32")]
        () if is_jpeg_xl(bytes) => ("JPEG XL", "`djxl a.jxl a.png` saves it as PNG"),
        () if starts(b"\0\0\0\x0CjP  ") || starts(b"\xFF\x4F\xFF\x51") => ("JPEG 2000", SAVE),
        () if starts(b"II\xBC\x01") => ("JPEG XR", SAVE),
        () if starts(b"\xFF\xD8\xFF\xF7") => ("JPEG-LS", SAVE),
        () if starts(b"8BPS") => ("Photoshop", SAVE),
        () if starts(b"gimp xcf") => ("a project of GIMP", SAVE),
        () if starts(b"%PDF") => ("PDF", "`pdfimages -png a.pdf a` saves its pictures as PNG"),
        () if starts(b"%!PS") => ("PostScript", SAVE),
        () if starts(b"AT&TFORM") => ("DjVu", "`ddjvu -format=tiff a.djvu a.tif` saves its pages"),
        () if starts(b"\x76\x2F\x31\x01") => ("OpenEXR", SAVE),
        () if starts(b"#?RADIANCE") || starts(b"#?RGBE") => ("Radiance HDR", SAVE),
        () if starts(b"\xABKTX ") || starts(b"DDS ") => ("a texture", SAVE),
        () if starts(b"qoif") => ("QOI", SAVE),
        () if starts(b"farbfeld") => ("farbfeld", SAVE),
        () if starts(b"\0\0\x01\0") || starts(b"\0\0\x02\0") => ("an icon", SAVE),
        () if starts(b"SIMPLE  =") => ("FITS", SAVE),
        () if bytes.get(128..132) == Some(b"DICM") => ("DICOM", SAVE),
        () if starts(b"\x1A\x45\xDF\xA3")
            || starts(b"RIFF") && bytes.get(8..12) == Some(b"AVI ") =>
        {
            ("a video", "take its frames out first, as with `ffmpeg -i a.mkv %05d.png`")
        }
        () if starts(b"PK\x03\x04") => ("an archive", "unpack it first, as with `unzip a.zip`"),
        () if starts(b"<svg") || starts(b"<?xml") => ("SVG", SAVE),
        () => return None,
    };
    Some(format!("{name} is not read; {advice}"))
}

/// Whether `bytes` are a codestream or a container of JPEG XL (ISO/IEC 18181-2).
pub(super) fn is_jpeg_xl(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0\0\0\x0CJXL \r\n\x87\n") || bytes.starts_with(b"\xFF\x0A")
}

/// Whether `bytes` are HEIC, AVIF or a relative: its brands say so (ISO/IEC 14496-12, 4.3).
pub(super) fn is_heif(bytes: &[u8]) -> bool {
    const BRANDS: [&[u8; 4]; 14] = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2",
        b"msf1", b"avif", b"avis", b"miaf",
    ];
    let Some((&[a, b, c, d, b'f', b't', b'y', b'p'], rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let length = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(8);
    let brands = rest.get(..length).unwrap_or(rest).as_chunks::<4>().0.iter();
    // The second word is the version of the first.
    brands.enumerate().any(|(at, brand)| at != 1 && BRANDS.contains(&brand))
}

/// What is said about a camera's raw file.
pub(super) fn raw(name: &str) -> String {
    format!(
        "a camera's raw file ({name}) is not read: it holds what the sensor saw, not yet a picture; \
         develop it to TIFF or JPEG first, as with `darktable-cli a.dng a.tif`"
    )
}

#[cfg(test)]
mod tests {
    use super::{is_heif, named};

    #[test]
    fn brands_of_heif() {
        assert!(is_heif(b"\0\0\0\x10ftypheic\0\0\0\0"));
        assert!(is_heif(b"\0\0\0\x18ftypisom\0\0\0\0mp42avif"));
        assert!(!is_heif(b"\0\0\0\x10ftypisomavif") && !is_heif(b"\0\0\0\x14ftypisom"));
        assert!(!is_heif(b"\0\0\0\x10ftypisom\0\0\0\0heic"), "behind the box");
        assert!(!is_heif(b""));
    }

    #[test]
    fn formats_by_their_first_bytes() {
        let is = |bytes: &[u8], name: &str| {
            let text = named(bytes).unwrap();
            assert!(text.contains(name) && text.contains(" is not read"), "{text}");
        };
        is(b"\0\0\0\x20ftypisom\0\0\0\0", "a video");
        is(b"\0\0\0\x20ftypcrx \0\0\0\0", "CR3");
        is(b"FUJIFILMCCD-RAW 0201", "RAF");
        is(b"IIRO\x08\0\0\0", "ORF");
        is(b"8BPS\0\x01", "Photoshop");
        for other in [b"\xFF\xD8\xFF\xE0".as_slice(), b"\0\0\0\x20ftyp", b"GIF89a", b"II*\0", b""] {
            assert_eq!(named(other), None);
        }
    }
}
