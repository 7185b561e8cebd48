//! JPEG XL: its container (ISO/IEC 18181-2) is read here, its codestream by `jxl-oxide`.
//!
//! The decoder sees the codestream alone. It would unpack compressed metadata to any size.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use image::{DynamicImage, ImageDecoder as _};
use jxl_oxide::integration::JxlDecoder;
use jxl_oxide::{AllocTracker, InitializeResult, JxlImage};

use super::boxes::boxes;
use super::decode::MAX_PIXELS;
use super::formats::{Decoded, TRUNCATED, check, check_size, describe, without_header};
use super::kept::LONGEST_TEXT;

/// The box that a container begins with.
const SIGNATURE: &[u8] = b"\0\0\0\x0CJXL \r\n\x87\n";
const PARTS: &str = "the picture is damaged: the parts of its data do not belong together";

/// The picture of a file, upright.
pub(super) fn read(bytes: &[u8]) -> Result<Decoded, String> {
    let codestream = codestream(bytes)?;
    // A pixel of 4 channels at 16 bits takes 8 bytes, and the decoder keeps a second copy.
    let tracker = AllocTracker::with_limit(MAX_PIXELS * 16);
    let whole = JxlImage::builder().alloc_tracker(tracker).read(Cursor::new(&codestream));
    let whole = whole.map_err(|e| {
        format!("the picture is damaged: {}", e.to_string().replace(char::is_control, " "))
    })?;
    check_size((whole.width(), whole.height()))?;
    if !whole.is_loading_done() {
        return Err(TRUNCATED.to_owned());
    }
    if whole.num_loaded_keyframes() > 1 {
        return Err(format!(
            "JPEG XL with {} frames is not read; `djxl a.jxl a.apng` saves it as PNG",
            whole.num_loaded_keyframes()
        ));
    }
    drop(whole);
    let mut decoder = JxlDecoder::new(Cursor::new(&codestream)).map_err(|e| describe(&e))?;
    check(&mut decoder)?;
    let icc = decoder.icc_profile().unwrap_or_default();
    let image = DynamicImage::from_decoder(decoder).map_err(|e| describe(&e))?;
    let Parts { exif, xmp, left_out } = Parts::of(bytes);
    let notes = match left_out {
        0 => Vec::new(),
        _ => vec![
            "some of its metadata were left out: they are damaged, too long, or there twice"
                .to_owned(),
        ],
    };
    // Its own orientation counts, not that of EXIF (ISO/IEC 18181-2), and is applied already.
    Ok(Decoded { image, exif, icc, xmp, notes, ..Decoded::default() })
}

/// Width and height, as the header tells them.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let codestream = codestream(bytes).ok()?;
    let mut header = JxlImage::builder().build_uninit();
    header.feed_bytes(&codestream).ok()?;
    match header.try_init().ok()? {
        InitializeResult::Initialized(image) => Some((image.width(), image.height())),
        InitializeResult::NeedMoreData(_) => None,
    }
}

/// What holds the pixels: the file itself, or one box of it, or several.
fn codestream(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if !bytes.starts_with(SIGNATURE) {
        return Ok(bytes.into());
    }
    let (mut parts, mut is_last) = (Vec::new(), false);
    for part in boxes(bytes) {
        if !matches!(&part.kind, b"jxlc" | b"jxlp") {
            continue;
        }
        if is_last {
            return Err(PARTS.to_owned());
        }
        if &part.kind == b"jxlc" {
            if !parts.is_empty() {
                return Err(PARTS.to_owned());
            }
            is_last = true;
            parts.push(part.data);
            continue;
        }
        // Its number; the highest bit tells the last one.
        let Some((number, data)) = part.data.split_first_chunk::<4>() else {
            return Err(if part.is_whole { PARTS } else { TRUNCATED }.to_owned());
        };
        let number = u32::from_be_bytes(*number);
        is_last = number >> 31 == 1;
        if (number & 0x7FFF_FFFF) as usize != parts.len() {
            return Err(PARTS.to_owned());
        }
        parts.push(data);
    }
    match parts.as_slice() {
        [] => Err(TRUNCATED.to_owned()),
        &[whole] => Ok(whole.into()),
        _ => Ok(parts.concat().into()),
    }
}

/// What a container holds beside the picture.
#[derive(Default)]
struct Parts {
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
    /// Boxes of these kinds that were not taken.
    left_out: usize,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let mut parts = Self::default();
        if !bytes.starts_with(SIGNATURE) {
            return parts;
        }
        for part in boxes(bytes) {
            // Of compressed ones, the kind comes first.
            let (kind, packed) = match (&part.kind, part.data.split_first_chunk()) {
                (b"brob", Some((kind, packed))) => (kind, Some(packed)),
                (kind, _) => (kind, None),
            };
            let is_exif = kind == b"Exif";
            if !is_exif && kind != b"xml " {
                continue;
            }
            let place = if is_exif { &mut parts.exif } else { &mut parts.xmp };
            let read = || {
                let data = match packed {
                    Some(packed) => unpacked(packed)?,
                    None => part.data.to_vec(),
                };
                if is_exif { tiff(&data) } else { Some(data) }
            };
            match read() {
                Some(data) if place.is_none() && part.is_whole => *place = Some(data),
                _ => parts.left_out += 1,
            }
        }
        parts
    }
}

/// EXIF behind the place where it begins.
fn tiff(data: &[u8]) -> Option<Vec<u8>> {
    let (offset, rest) = data.split_first_chunk::<4>()?;
    let tiff = rest.get(u32::from_be_bytes(*offset) as usize..)?;
    (!tiff.is_empty()).then(|| without_header(tiff.to_vec()))
}

/// What Brotli (RFC 7932) made small; `None` where it is damaged, or longer than any metadata.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    // An extension of Brotli, in which some bytes may ask for a gigabyte of memory.
    const LARGE_WINDOW: u8 = 0b001_0001;
    if packed.first()? & 0x7F == LARGE_WINDOW {
        return None;
    }
    let mut data = Vec::new();
    let reader = brotli_decompressor::Decompressor::new(packed, 4096);
    reader.take(LONGEST_TEXT + 1).read_to_end(&mut data).ok()?;
    (data.len() as u64 <= LONGEST_TEXT).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box of a container.
    fn boxed(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&(data.len() as u32 + 8).to_be_bytes(), kind.as_slice(), data].concat()
    }

    fn file(parts: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let parts = parts.iter().flat_map(|(kind, data)| boxed(kind, data));
        SIGNATURE.iter().copied().chain(parts).collect()
    }

    #[test]
    fn parts_of_the_codestream_belong_together() {
        let joined = |parts: &[(&[u8; 4], &[u8])]| {
            codestream(&file(parts)).map(Cow::into_owned).map_err(|e| e.contains("truncated"))
        };
        let (first, last) = (b"\0\0\0\0ab".as_slice(), b"\x80\0\0\x01cd".as_slice());
        assert_eq!(joined(&[(b"jxlc", b"abc")]), Ok(b"abc".into()));
        assert_eq!(
            joined(&[(b"jxlp", first), (b"xml ", b""), (b"jxlp", last)]),
            Ok(b"abcd".into())
        );
        assert_eq!(joined(&[]), Err(true));
        for parts in [
            [(b"jxlc", first), (b"jxlc", first)],
            [(b"jxlc", first), (b"jxlp", first)],
            [(b"jxlp", first), (b"jxlc", first)],
            [(b"jxlp", last), (b"jxlp", first)],
            [(b"jxlp", first), (b"jxlp", first)],
            [(b"jxlp", first), (b"jxlp", b"\0\0\0")],
        ] {
            assert_eq!(joined(&parts), Err(false));
        }
        let mut cut = file(&[(b"jxlp", first)]);
        cut.truncate(cut.len() - 3);
        assert!(codestream(&cut).unwrap_err().contains("truncated"));
    }

    #[test]
    fn metadata_are_unpacked_up_to_a_bound() {
        // A block as it is (RFC 7932, 9.2), and the end.
        let plain = |text: &[u8]| {
            let bits = (text.len() as u32 - 1) << 4 | 1 << 20;
            let head = &bits.to_le_bytes()[..3];
            [head, text, b"\x03"].concat()
        };
        assert_eq!(unpacked(&plain(b"abc")).as_deref(), Some(b"abc".as_slice()));
        // As `brotli` packs 16 MiB of zeros, and one byte more.
        const ZEROS: &[u8] = b"\xCB\xFF\xFF\x3F\0\x24\0\xE2\xB1\x40\x72\xEF\xFF\xF8\xFF\xFF\
            \x07\x80\x04\x40\x1C\x16\x80\xEE\xFD";
        let zeros = unpacked(&[ZEROS, b"\xDF"].concat()).map(|data| data.len());
        assert_eq!(zeros, Some(16 << 20));
        assert_eq!(unpacked(&[ZEROS, b"\x1F\0\0\x02\0\x03"].concat()), None);
        for wrong in [&b""[..], b"\x11", b"\x91\x1F", b"\xFF\xFF\xFF", &plain(b"abc")[..5]] {
            assert_eq!(unpacked(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_first_sound_metadata_are_taken_and_the_others_counted() {
        let read = |parts: &[(&[u8; 4], &[u8])]| Parts::of(&file(parts));
        let exif = b"\0\0\0\x02xxII*\0".as_slice();
        let parts = read(&[(b"Exif", b"\0\0\0\x09II*\0"), (b"xml ", b"<a/>"), (b"Exif", exif)]);
        assert_eq!(parts.exif.as_deref(), Some(b"II*\0".as_slice()));
        assert_eq!((parts.xmp.as_deref(), parts.left_out), (Some(b"<a/>".as_slice()), 1));
        let parts = read(&[(b"brob", b"xml \xFF"), (b"brob", b"jumb\xFF"), (b"brob", b"xml")]);
        assert_eq!((parts.xmp, parts.left_out), (None, 1));
        let mut cut = file(&[(b"Exif", exif), (b"xml ", b"<a/>")]);
        cut.truncate(cut.len() - 1);
        let parts = Parts::of(&cut);
        assert_eq!((parts.exif.is_some(), parts.xmp, parts.left_out), (true, None, 1));
    }
}
