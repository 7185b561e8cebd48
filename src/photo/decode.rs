//! Files → [`Picture`].

use std::io::Cursor;
use std::path::Path;

use image::codecs::tiff::TiffDecoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{Picture, jpeg};
use crate::{Error, Result};

/// The largest picture that is read: 268 megapixels (the largest phone sensor has 200).
/// A few kilobytes can claim to be much more than fits any memory.
pub const MAX_PIXELS: usize = 1 << 28;

/// Reads the picture at `path`; see [`decode`].
///
/// # Errors
/// As [`decode`], and [`Error::Io`] when the file cannot be read.
pub fn read(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    decode(&bytes, path)
}

/// Decodes a JPEG, PNG, WebP, TIFF, BMP or PNM file, recognised by its content, and turns it
/// upright by its EXIF orientation. Gray becomes RGB, 16 bits and floats become 8.
/// Of an animation the first frame counts. `name` is for messages.
///
/// # Errors
/// [`Error::Image`] when this is no such picture, is truncated or otherwise damaged, has no pixels
/// or more than [`MAX_PIXELS`], or is made for printing in four colours.
pub fn decode(bytes: &[u8], name: &Path) -> Result<Picture> {
    let fail = |what: String| Error::Image { path: name.to_owned(), what };
    let damaged = |error: &ImageError| fail(describe(error));
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| fail(format!("cannot be read: {e}")))?;
    let mut limits = Limits::no_limits();
    // A pixel of 4 channels at 16 bits takes 8 bytes, and decoders keep a second copy at times.
    limits.max_alloc = Some(MAX_PIXELS as u64 * 16);
    reader.limits(limits);
    let format = reader.format();
    match format {
        None if bytes.is_empty() => return Err(fail("the file is empty".into())),
        None => {
            return Err(fail(format!("not a picture; the formats that are read are {FORMATS}")));
        }
        Some(ImageFormat::Jpeg) if !jpeg::is_complete(bytes) => return Err(fail(TRUNCATED.into())),
        Some(_) => {}
    }
    let mut decoder = reader.into_decoder().map_err(|e| damaged(&e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(fail(format!("the picture has no pixels ({width}×{height})")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS as u64 {
        return Err(fail(format!(
            "the picture has {width}×{height} pixels, more than the {} million that are read; \
             scale it down first",
            MAX_PIXELS / 1_000_000
        )));
    }
    if decoder.original_color_type() == image::ExtendedColorType::Cmyk8 {
        return Err(fail(
            "the picture has the four colours of print (CMYK), which mean nothing \
                         without its printer's profile; convert it to RGB first"
                .into(),
        ));
    }
    let orientation = decoder.orientation().map_err(|e| damaged(&e))?;
    let icc = match format {
        // Under limits this decoder refuses profiles that are large beside the pixels.
        Some(ImageFormat::Tiff) => {
            TiffDecoder::new(Cursor::new(bytes)).and_then(|mut tiff| tiff.icc_profile())
        }
        _ => decoder.icc_profile(),
    };
    let icc = icc.unwrap_or_default().filter(|icc| is_rgb_profile(icc));
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| damaged(&e))?;
    image.apply_orientation(orientation);

    let (width, height) = (image.width() as usize, image.height() as usize);
    let (rgb, alpha) = if image.color().has_alpha() {
        let rgba = image.into_rgba8().into_raw();
        let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        let alpha: Vec<u8> = rgba.iter().skip(3).step_by(4).copied().collect();
        (rgb, alpha.iter().any(|&a| a != u8::MAX).then_some(alpha))
    } else {
        (image.into_rgb8().into_raw(), None)
    };
    Ok(Picture { height, width, rgb, alpha, icc })
}

const FORMATS: &str = "JPEG, PNG, WebP, TIFF, BMP and PNM";
const TRUNCATED: &str = "the picture is truncated: its end is missing";

/// A profile says at byte 16 what colours it is for (ICC.1:2022, 7.2); those of gray and CMYK
/// pictures do not fit their RGB pixels.
fn is_rgb_profile(icc: &[u8]) -> bool {
    icc.get(16..20) == Some(b"RGB ".as_slice())
}

fn describe(error: &ImageError) -> String {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => TRUNCATED.into(),
        ImageError::Unsupported(e) => {
            format!("this kind of picture is not read ({e}); the formats are {FORMATS}")
        }
        ImageError::Limits(_) => "the picture needs too much memory to be decoded".into(),
        other => format!("the picture is damaged: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder as _};

    use super::*;

    fn png(width: u32, height: u32, color: ExtendedColorType, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut file);
        encoder.write_image(bytes, width, height, color).unwrap();
        file
    }

    fn message(bytes: &[u8]) -> String {
        decode(bytes, Path::new("a.png")).unwrap_err().to_string()
    }

    #[test]
    fn sixteen_bits_round_to_eight() {
        let samples: Vec<u8> = [0u16, 257, 65535].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let file = png(1, 1, ExtendedColorType::Rgb16, &samples);
        let picture = decode(&file, Path::new("a.png")).unwrap();
        assert_eq!((picture.rgb, picture.alpha), (vec![0, 1, 255], None));
    }

    #[test]
    fn gray_becomes_rgb_and_alpha_is_kept_aside() {
        let file = png(2, 1, ExtendedColorType::La8, &[10, 20, 30, 255]);
        let picture = decode(&file, Path::new("a.png")).unwrap();
        assert_eq!(picture.rgb, [10, 10, 10, 30, 30, 30]);
        assert_eq!(picture.alpha, Some(vec![20, 255]));
    }

    #[test]
    fn opaque_alpha_is_none() {
        let file = png(1, 1, ExtendedColorType::Rgba8, &[1, 2, 3, 255]);
        assert_eq!(decode(&file, Path::new("a.png")).unwrap().alpha, None);
    }

    #[test]
    fn exif_orientation_turns_the_picture_upright() {
        // TIFF header, one entry: orientation (0x0112), SHORT, 1 value, 6 = rotated by 90°.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut file = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        encoder.write_image(&[1, 1, 1, 2, 2, 2], 2, 1, ExtendedColorType::Rgb8).unwrap();
        let picture = decode(&file, Path::new("a.png")).unwrap();
        assert_eq!((picture.height, picture.width), (2, 1));
        assert_eq!(picture.rgb, [1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn truncated_files_are_errors() {
        let pixels: Vec<u8> = (0..64 * 64 * 3).map(|i| (i * 7919 % 251) as u8).collect();
        let mut files = vec![png(64, 64, ExtendedColorType::Rgb8, &pixels)];
        for format in [ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
            let mut file = Cursor::new(Vec::new());
            let image = image::RgbImage::from_raw(64, 64, pixels.clone()).unwrap();
            image.write_to(&mut file, format).unwrap();
            files.push(file.into_inner());
        }
        files.push([b"P6 64 64 255\n".as_slice(), &pixels].concat());
        for file in files {
            assert!(decode(&file, Path::new("a")).is_ok());
            for end in [16, file.len() / 2, file.len() - 40] {
                let text = message(&file[..end]);
                assert!(text.starts_with("a.png: "), "{text}");
                assert!(!text.contains('\n'), "{text}");
            }
        }
    }

    #[test]
    fn other_files_are_errors() {
        assert!(message(b"").contains("empty"));
        assert!(message(b"hello, I am a text").contains("not a picture"));
        assert!(message(b"P6 0 5 255\n").contains("no pixels"), "{}", message(b"P6 0 5 255\n"));
        assert!(message(b"GIF89a\x01\0\x01\0\0\0\0").contains("not read"));
    }

    #[test]
    fn a_decompression_bomb_is_refused_before_it_is_unpacked() {
        assert!(message(b"P6 65535 65535 255\n").contains("65535×65535"));
    }
}
