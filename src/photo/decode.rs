//! Files → [`Picture`].

use std::io::Cursor;
use std::path::Path;

use image::codecs::tiff::TiffDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat};
use image::{ImageReader, Limits};

use super::jpeg::{self, Jpeg};
use super::kept::Kept;
use super::metadata::{Metadata, Samples16, narrow};
use super::{Picture, tiff_tags, unsupported_formats};
use crate::{Error, Result};

/// The largest picture that is read: 268 megapixels (the largest phone sensor has 200).
/// A few kilobytes can claim to be much more than fits any memory.
pub const MAX_PIXELS: usize = 1 << 28;

/// Reads the picture at `path`; see [`decode`].
///
/// # Errors
/// As [`decode`], and [`Error::Io`] when the file cannot be read.
pub fn read(path: &Path) -> Result<Picture> {
    read_with_metadata(path).map(|(picture, _)| picture)
}

/// As [`read`], with what [`encode`](super::encode) carries to the file of the result.
///
/// # Errors
/// As [`read`].
pub fn read_with_metadata(path: &Path) -> Result<(Picture, Metadata)> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    decode_with_metadata(&bytes, path)
}

/// Decodes a JPEG, PNG, WebP, TIFF, BMP or PNM file, recognised by its content, and turns it
/// upright by its EXIF orientation. Gray becomes RGB, 16 bits and floats become 8. Of an animation
/// the first frame counts. `name` is for messages.
///
/// # Errors
/// [`Error::Image`] when this is no such picture, is truncated or otherwise damaged, holds the
/// colours of printing inks, has no pixels or more than [`MAX_PIXELS`].
pub fn decode(bytes: &[u8], name: &Path) -> Result<Picture> {
    decode_with_metadata(bytes, name).map(|(picture, _)| picture)
}

/// As [`decode`], with what [`encode`](super::encode) carries to the file of the result.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_metadata(bytes: &[u8], name: &Path) -> Result<(Picture, Metadata)> {
    let fail = |what: String| Error::Image { path: name.to_owned(), what };
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    if let Some((format, advice)) = unsupported_formats::named(bytes) {
        return Err(fail(format!("{format} is not read; {advice}")));
    }
    let image = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes),
        Ok(format) => other(bytes, format),
        Err(_) => Err(format!("not a picture; the formats that are read are {FORMATS}")),
    };
    let Decoded { mut image, orientation, exif, icc } = image.map_err(fail)?;
    image.apply_orientation(orientation);
    let (picture, metadata) = split(image, exif, icc);
    let turned = orientation != Orientation::NoTransforms;
    Ok((picture, Metadata { kept: Kept { turned, ..Kept::of(bytes) }, ..metadata }))
}

/// A picture as it lies in its file.
struct Decoded {
    image: DynamicImage,
    orientation: Orientation,
    exif: Option<Vec<u8>>,
    icc: Option<Vec<u8>>,
}

fn jpeg(bytes: &[u8]) -> Result<Decoded, String> {
    let bytes = jpeg::guarded(bytes).ok_or_else(|| TRUNCATED.to_owned())?;
    let jpeg = Jpeg::open(&bytes)?;
    check_size(jpeg.dimensions())?;
    let (exif, icc) = (jpeg.exif(), jpeg.icc());
    let orientation = exif.as_deref().and_then(Orientation::from_exif_chunk);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { image: jpeg.pixels()?, orientation, exif, icc })
}

fn other(bytes: &[u8], format: ImageFormat) -> Result<Decoded, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    // A pixel of 4 channels at 16 bits takes 8 bytes, and decoders keep a second copy at times.
    limits.max_alloc = Some(MAX_PIXELS as u64 * 16);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| describe(&e))?;
    check_size(decoder.dimensions())?;
    if let ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 = decoder.original_color_type() {
        return Err(CMYK.to_owned());
    }
    let orientation = decoder.orientation().map_err(|e| describe(&e))?;
    let icc = match format {
        // Under limits this decoder refuses profiles that are large beside the pixels.
        ImageFormat::Tiff => {
            TiffDecoder::new(Cursor::new(bytes)).and_then(|mut tiff| tiff.icc_profile())
        }
        _ => decoder.icc_profile(),
    };
    let exif = match format {
        ImageFormat::Tiff => tiff_tags::exif(bytes),
        _ => decoder.exif_metadata().unwrap_or_default(),
    };
    let exif = exif.map(|mut exif| {
        // Some writers of WebP put the header of JPEG's segment before it.
        if exif.starts_with(b"Exif\0\0") {
            exif.drain(..6);
        }
        exif
    });
    let icc = icc.unwrap_or_default();
    let image = DynamicImage::from_decoder(decoder).map_err(|e| describe(&e))?;
    Ok(Decoded { image, orientation, exif, icc })
}

/// An upright picture's 8-bit pixels, and the rest.
fn split(image: DynamicImage, exif: Option<Vec<u8>>, icc: Option<Vec<u8>>) -> (Picture, Metadata) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (colour, one_channel) = (image.color(), !image.color().has_color());
    let is_deep = colour.bytes_per_pixel() == 2 * colour.channel_count();
    let (rgb, alpha, deep) = if is_deep {
        let (rgb, alpha) = if colour.has_alpha() {
            let (rgb, alpha) = apart(&image.into_rgba16().into_raw());
            (rgb, alpha.iter().any(|&a| a != u16::MAX).then_some(alpha))
        } else {
            (image.into_rgb16().into_raw(), None)
        };
        let narrowed = |samples: &Vec<u16>| samples.iter().map(|&v| narrow(v)).collect();
        let (rgb_8, alpha_8) = (narrowed(&rgb), alpha.as_ref().map(narrowed));
        (rgb_8, alpha_8, Some(Samples16 { height, width, rgb, alpha }))
    } else if colour.has_alpha() {
        let (rgb, alpha) = apart(&image.into_rgba8().into_raw());
        (rgb, alpha.iter().any(|&a| a != u8::MAX).then_some(alpha), None)
    } else {
        (image.into_rgb8().into_raw(), None, None)
    };
    let is_gray = |[red, green, blue]: &[u8; 3]| red == green && green == blue;
    let gray = one_channel || rgb.as_chunks().0.iter().all(is_gray);
    let has = |icc: &Vec<u8>, colours: &[u8]| icc.get(16..20) == Some(colours);
    // A profile says at byte 16 what colours it is for (ICC.1:2022, 7.2).
    let gray_icc = icc.clone().filter(|icc| one_channel && has(icc, b"GRAY"));
    let icc = icc.filter(|icc| has(icc, b"RGB "));
    (
        Picture { height, width, rgb, alpha, icc },
        Metadata { exif, gray, gray_icc, deep, kept: Kept::default() },
    )
}

/// Colours and transparency.
fn apart<T: Copy>(rgba: &[T]) -> (Vec<T>, Vec<T>) {
    let (pixels, _) = rgba.as_chunks::<4>();
    let rgb = pixels.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
    (rgb, pixels.iter().map(|p| p[3]).collect())
}

const FORMATS: &str = "JPEG, PNG, WebP, TIFF, BMP and PNM";
const TRUNCATED: &str = "the picture is truncated: its end is missing";
pub(super) const CMYK: &str = "the picture holds the colours of printing inks (CMYK), which look different on every printer; \
     convert it to RGB first";

fn check_size((width, height): (u32, u32)) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("the picture has no pixels ({width}×{height})"));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS as u64 {
        return Err(format!(
            "the picture has {width}×{height} pixels, more than the {} million that are read; \
             scale it down first",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok(())
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
        assert!(message(b"GIF89a\x01\0\x01\0\0\0\0").contains("GIF is not read"));
        assert!(message(b"\0\0\0\x20ftypheic\0\0\0\0").contains("HEIC is not read"));
    }

    #[test]
    fn decompression_bombs_are_refused_before_they_are_unpacked() {
        assert!(message(b"P6 65535 65535 255\n").contains("65535×65535"));
        // A whole small file of each kind whose header then claims to be as large as its fields
        // allow.
        let image = image::RgbImage::from_pixel(8, 8, image::Rgb([1, 2, 3]));
        let file = |format| {
            let mut file = Cursor::new(Vec::new());
            image.write_to(&mut file, format).unwrap();
            file.into_inner()
        };
        let mut jpeg = file(ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 5..frame + 9].fill(0xFF);
        assert!(message(&jpeg).contains("65535×65535"), "{}", message(&jpeg));
        let mut bmp = file(ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&40_000_u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&40_000_u32.to_le_bytes());
        assert!(message(&bmp).contains("40000×40000"), "{}", message(&bmp));
        let mut tiff = file(ImageFormat::Tiff);
        for tag in [0x0100_u16, 0x0101] {
            let entry = tiff.windows(2).rposition(|w| w == tag.to_le_bytes()).unwrap();
            tiff[entry + 8..entry + 12].copy_from_slice(&100_000_u32.to_le_bytes());
        }
        let text = message(&tiff);
        assert!(text.contains("100000×100000") || text.contains("damaged"), "{text}");
        // The header's own checksum would give it away otherwise.
        let mut png = png(1, 1, ExtendedColorType::Rgb8, &[1, 2, 3]);
        png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(message(&png).contains("65536×65536"), "{}", message(&png));
    }

    #[test]
    fn jpegs_with_damaged_pixels_or_inks_are_refused() {
        let pixels: Vec<u8> = (0..64 * 64 * 3).map(|i| (i * 7919 % 251) as u8).collect();
        let mut file = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95);
        encoder.encode(&pixels, 64, 64, ExtendedColorType::Rgb8).unwrap();
        assert!(decode(&file, Path::new("a.jpg")).is_ok());
        // The entropy-coded data ends in the middle, the end-of-image marker is there.
        let mut cut = file[..file.len() / 2].to_vec();
        cut.extend([0xFF, 0xD9]);
        assert!(message(&cut).contains("damaged"), "{}", message(&cut));
        // Another frame in the middle of the data.
        let mut marked = file.clone();
        let middle = file.len() / 2;
        marked[middle..middle + 4].copy_from_slice(&[0xFF, 0xC0, 0, 0]);
        assert!(decode(&marked, Path::new("a.jpg")).is_err());
        // Four components: the header alone is enough to be refused.
        let mut inks = vec![0xFF, 0xD8, 0xFF, 0xEE, 0, 14];
        inks.extend(b"Adobe\0\x64\0\0\0\0\0");
        inks.extend([0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4]);
        inks.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]);
        inks.extend([0xFF, 0xDA, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0, 1, 2, 0xFF, 0xD9]);
        assert!(message(&inks).contains("CMYK"), "{}", message(&inks));
    }

    #[test]
    fn deep_samples_gray_and_exif_are_kept_aside() {
        let samples: Vec<u8> = [300u16, 40_000].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let file = png(2, 1, ExtendedColorType::L16, &samples);
        let (picture, metadata) = decode_with_metadata(&file, Path::new("a.png")).unwrap();
        assert_eq!(picture.rgb, [1, 1, 1, 156, 156, 156]);
        assert!(metadata.gray);
        let deep = metadata.deep.unwrap();
        assert_eq!(deep.rgb, [300, 300, 300, 40_000, 40_000, 40_000]);
        assert_eq!(deep.of_result(&picture), Some(deep.rgb.clone()));
        let colour = png(1, 1, ExtendedColorType::Rgb8, &[1, 2, 3]);
        let (_, metadata) = decode_with_metadata(&colour, Path::new("a.png")).unwrap();
        assert_eq!(metadata, Metadata::default());
    }
}
