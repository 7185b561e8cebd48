//! Files → [`Picture`].

use std::path::Path;

use image::DynamicImage;

use super::formats::{self, Decoded};
use super::kept::Kept;
use super::metadata::{Metadata, Samples16, narrow};
use super::pages::{self, Count, Page, PageKind};
use super::{Format, Picture, tiff_tags};
use crate::wall::caught;
use crate::{Error, Result};

/// The largest picture that is read: 268 megapixels (the largest phone sensor has 200).
/// A few kilobytes can claim to be much more than fits any memory.
pub const MAX_PIXELS: usize = 1 << 28;

/// How files are read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ReadOptions {
    /// Of a damaged JPEG or TIFF, keeps what can be read; the rest is gray or black, and a note says
    /// so. Otherwise a damaged file is an error.
    pub salvage: bool,
}

impl ReadOptions {
    /// Keeps what can be read of damaged files.
    #[must_use]
    pub fn salvaging() -> Self {
        Self { salvage: true }
    }
}

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

/// Decodes a JPEG, PNG, WebP, TIFF, HEIC, AVIF, JPEG XL, GIF, BMP or PNM file, recognised by its content, and
/// turns it upright by its EXIF orientation. Gray becomes RGB, 16 bits and floats become 8. `name`
/// is for messages. [`Pages`](super::Pages) reads files with more than one picture, and tells what is
/// unusual about a file. No file makes this panic.
///
/// # Errors
/// [`Error::Image`] when this is no such picture, is truncated or otherwise damaged, holds the
/// colours of printing inks, has no pixels or more than [`MAX_PIXELS`], or more than one picture.
pub fn decode(bytes: &[u8], name: &Path) -> Result<Picture> {
    decode_with_metadata(bytes, name).map(|(picture, _)| picture)
}

/// As [`decode`], with what [`encode`](super::encode) carries to the file of the result.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_metadata(bytes: &[u8], name: &Path) -> Result<(Picture, Metadata)> {
    let Page { picture, metadata, notes, .. } = decode_page(bytes, name, &ReadOptions::default())?;
    for note in notes {
        log::warn!("{}: {note}", name.display());
    }
    Ok((picture, metadata))
}

/// As [`decode_with_metadata`], with what is unusual about the file, and with options.
///
/// # Errors
/// As [`decode`].
pub fn decode_page(bytes: &[u8], name: &Path, options: &ReadOptions) -> Result<Page> {
    let only = || {
        let Count { kind, count, .. } = pages::count(bytes)?;
        let what = match kind {
            PageKind::Single => return picture(bytes, 0, options),
            PageKind::Page => "pages",
            PageKind::Frame => "frames",
        };
        Err(format!(
            "the file holds {count} {what}, of which none may get lost; \
             `pentimento restore` restores all of them, `pentimento restore --page N` one"
        ))
    };
    let read = caught(only);
    let (picture, metadata, notes) =
        read.map_err(|what| Error::Image { path: name.to_owned(), what })?;
    Ok(Page { picture, metadata, notes, delay: None })
}

/// Picture `index` of a file, and what is unusual about it.
pub(super) fn picture(
    bytes: &[u8],
    index: usize,
    options: &ReadOptions,
) -> Result<(Picture, Metadata, Vec<String>), String> {
    let decoded = formats::read(bytes, index, options)?;
    let turned = decoded.orientation != image::metadata::Orientation::NoTransforms;
    let (picture, metadata, notes) = finished(decoded);
    let mut kept = Kept { turned, ..Kept::of(bytes, index) };
    kept.xmp = kept.xmp.or(metadata.kept.xmp);
    if matches!(Format::of_bytes(bytes), None | Some(Format::Avif)) {
        // HEIC, AVIF and JPEG XL tell it nowhere else.
        kept.density = metadata.exif.as_deref().and_then(tiff_tags::density_of_exif);
    }
    Ok((picture, Metadata { kept, ..metadata }, notes))
}

/// Turned upright and split.
pub(super) fn finished(decoded: Decoded) -> (Picture, Metadata, Vec<String>) {
    let Decoded { mut image, orientation, exif, icc, xmp, notes } = decoded;
    image.apply_orientation(orientation);
    let (picture, mut metadata) = split(image, exif, icc);
    metadata.kept.xmp = xmp;
    (picture, metadata, notes)
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
    let kept = Kept::default();
    (Picture { height, width, rgb, alpha, icc }, Metadata { exif, gray, gray_icc, deep, kept })
}

/// Colours and transparency.
fn apart<T: Copy>(rgba: &[T]) -> (Vec<T>, Vec<T>) {
    let (pixels, _) = rgba.as_chunks::<4>();
    let rgb = pixels.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
    (rgb, pixels.iter().map(|p| p[3]).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ExtendedColorType, ImageEncoder as _, ImageFormat};

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
        assert!(message(b"GIF89a\x01\0\x01\0\0\0\0").contains("damaged"));
        assert!(message(b"\0\0\0\x20ftypheic\0\0\0\0").contains("damaged"));
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
        assert!(text.contains("100000×100000") || text.contains("from row 0 of 100000"), "{text}");
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
