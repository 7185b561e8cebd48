//! [`Picture`] → files.

use std::borrow::Cow;
use std::io::{Cursor, Seek, Write};
use std::path::Path;

use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ColorType, ImageEncoder, ImageResult};

use super::file::write_whole;
use super::metadata::Metadata;
use super::{Picture, exif};
use crate::{Error, Result};

/// A file format that pictures are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Quality 95, 8 bits; transparency is dropped.
    Jpeg,
    /// Lossless.
    Png,
    /// Lossless.
    WebP,
    /// Lossless, uncompressed.
    Tiff,
    /// Lossless, uncompressed, without colour profile.
    Bmp,
    /// Lossless, uncompressed, without transparency and colour profile.
    Pnm,
}

impl Format {
    /// The format that `path`'s extension means, in upper or lower case.
    ///
    /// # Errors
    /// [`Error::Image`] when it means none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        Ok(match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "jpe" | "jfif" => Format::Jpeg,
            "png" => Format::Png,
            "webp" => Format::WebP,
            "tif" | "tiff" => Format::Tiff,
            "bmp" => Format::Bmp,
            "ppm" | "pnm" => Format::Pnm,
            _ => {
                return Err(Error::Image {
                    path: path.to_owned(),
                    what: "the extension does not say which format to write; \
                           use .png, .jpg, .webp, .tif, .bmp or .ppm"
                        .into(),
                });
            }
        })
    }

    /// The largest width and height that a file of this format holds.
    const fn max_side(self) -> usize {
        match self {
            // 16-bit fields (ITU-T T.81, B.2.2).
            Format::Jpeg => (1 << 16) - 1,
            // 14-bit fields minus one (RFC 9649, 3.4).
            Format::WebP => 1 << 14,
            Format::Png | Format::Tiff | Format::Bmp | Format::Pnm => (1 << 31) - 1,
        }
    }

    /// Whether a picture of this size can be written to `path`; asked before the work is done.
    ///
    /// # Errors
    /// [`Error::Image`] when the format's fields cannot hold the size.
    pub fn check_size(self, path: &Path, height: usize, width: usize) -> Result<()> {
        if height.max(width) <= self.max_side() {
            return Ok(());
        }
        Err(Error::Image {
            path: path.to_owned(),
            what: format!(
                "this format holds at most {0}×{0} pixels, the result has {width}×{height}; \
                 use .png or .tif",
                self.max_side()
            ),
        })
    }
}

/// Writes `picture` to `path` in the format of its extension. The file appears whole or not at
/// all: it is written under another name in the same folder, then renamed.
///
/// # Errors
/// [`Error::Image`] when the extension means no format or the picture is too large for it,
/// [`Error::Io`] when the folder is missing or not writable or the disk is full.
pub fn write(picture: &Picture, path: &Path) -> Result<()> {
    write_whole(&encode(picture, &Metadata::default(), path)?, path)
}

/// The bytes of a file with `picture` and what fits of `metadata`, in the format that the
/// extension of `path` means: EXIF goes to JPEG, PNG and WebP, 16 bits to PNG and TIFF where the
/// result has the size of the input, a single gray channel to JPEG, PNG and TIFF (elsewhere, and
/// where an RGB profile is kept, three equal ones).
///
/// # Errors
/// [`Error::Image`] when the extension means no format or the picture is too large for it.
pub fn encode(picture: &Picture, metadata: &Metadata, path: &Path) -> Result<Vec<u8>> {
    let format = Format::of(path)?;
    format.check_size(path, picture.height, picture.width)?;
    let mut file = Cursor::new(Vec::new());
    encode_as(format, picture, metadata, &mut file).map_err(|e| Error::Image {
        path: path.to_owned(),
        what: format!("the picture cannot be encoded: {e}"),
    })?;
    Ok(file.into_inner())
}

const JPEG_QUALITY: u8 = 95;
/// A segment of JPEG has 2^16 - 1 bytes (ITU-T T.81, B.1.1.4); its own length and "Exif\0\0" are
/// among them.
const LONGEST_EXIF: usize = (1 << 16) - 1 - 2 - 6;

fn encode_as(
    format: Format,
    picture: &Picture,
    metadata: &Metadata,
    to: &mut (impl Write + Seek),
) -> ImageResult<()> {
    match format {
        Format::Jpeg => {
            finish(picture, metadata, format, JpegEncoder::new_with_quality(to, JPEG_QUALITY))
        }
        Format::Pnm => {
            let subtype = PnmSubtype::Pixmap(SampleEncoding::Binary);
            finish(picture, metadata, format, PnmEncoder::new(to).with_subtype(subtype))
        }
        Format::Png => finish(picture, metadata, format, PngEncoder::new(to)),
        Format::WebP => finish(picture, metadata, format, WebPEncoder::new_lossless(to)),
        Format::Tiff => finish(picture, metadata, format, TiffEncoder::new(to)),
        Format::Bmp => finish(picture, metadata, format, BmpEncoder::new(to)),
    }
}

fn finish(
    picture: &Picture,
    metadata: &Metadata,
    format: Format,
    mut encoder: impl ImageEncoder,
) -> ImageResult<()> {
    let (bytes, color) = samples(picture, metadata, format);
    let one_channel = !color.has_color();
    let icc = if one_channel { &metadata.gray_icc } else { &picture.icc };
    if let Some(icc) = icc {
        // BMP and PNM have no place for it: the colours are then taken for sRGB.
        if encoder.set_icc_profile(icc.clone()).is_err() {
            log::debug!("the colour profile is not written: the format has no place for it");
        }
    }
    let exif = metadata.exif.as_ref();
    let exif = exif.and_then(|exif| exif::of_result(exif, picture.height, picture.width));
    let fits = |exif: &Vec<u8>| format != Format::Jpeg || exif.len() <= LONGEST_EXIF;
    if let Some(exif) = exif.filter(fits)
        && encoder.set_exif_metadata(exif).is_err()
    {
        log::debug!("EXIF is not written: the format has no place for it");
    }
    // `check_size` was called before: no format here holds more than 2³¹ - 1 pixels a side.
    encoder.write_image(&bytes, picture.width as u32, picture.height as u32, color.into())
}

/// The samples as they are written, and what they are. Those with 16 bits are in the machine's
/// byte order, as the encoders want them.
fn samples<'a>(
    picture: &'a Picture,
    metadata: &Metadata,
    format: Format,
) -> (Cow<'a, [u8]>, ColorType) {
    let has_alpha = !matches!(format, Format::Jpeg | Format::Pnm);
    let alpha = picture.alpha.as_deref().filter(|_| has_alpha);
    let one_channel = metadata.gray
        && picture.icc.is_none()
        && matches!(format, Format::Jpeg | Format::Png | Format::Tiff)
        // The encoder of TIFF knows no gray with transparency.
        && !(format == Format::Tiff && alpha.is_some());
    let keeps_deep = matches!(format, Format::Png | Format::Tiff);
    let deep = metadata.deep.as_ref().filter(|_| keeps_deep);
    if let Some((deep, rgb)) = deep.and_then(|deep| Some((deep, deep.of_result(picture)?))) {
        let rgb = if metadata.gray { without_colour(&rgb) } else { rgb };
        let alpha = alpha.map(|alpha| deep.alpha_of_result(alpha));
        let (samples, color) = match (one_channel, alpha) {
            (false, None) => (rgb, ColorType::Rgb16),
            (false, Some(alpha)) => (interleaved(&rgb, Some(&alpha), 3), ColorType::Rgba16),
            (true, None) => (interleaved(&rgb, None, 1), ColorType::L16),
            (true, Some(alpha)) => (interleaved(&rgb, Some(&alpha), 1), ColorType::La16),
        };
        return (Cow::Owned(bytemuck::cast_slice(&samples).to_vec()), color);
    }
    let rgb = if metadata.gray {
        Cow::Owned(without_colour(&picture.rgb))
    } else {
        Cow::Borrowed(picture.rgb.as_slice())
    };
    match (one_channel, alpha) {
        (false, None) => (rgb, ColorType::Rgb8),
        (false, alpha) => (interleaved(&rgb, alpha, 3).into(), ColorType::Rgba8),
        (true, None) => (interleaved(&rgb, None, 1).into(), ColorType::L8),
        (true, alpha) => (interleaved(&rgb, alpha, 1).into(), ColorType::La8),
    }
}

/// Every colour replaced by its luminance (ITU-R BT.601, weights of 1/256): gray stays what it is.
fn without_colour<T: Copy + Into<u32> + TryFrom<u32>>(rgb: &[T]) -> Vec<T> {
    let luminance = |p: &[T; 3]| {
        let sum = 77 * p[0].into() + 150 * p[1].into() + 29 * p[2].into();
        [T::try_from((sum + 128) >> 8).unwrap_or(p[1]); 3]
    };
    rgb.as_chunks::<3>().0.iter().flat_map(luminance).collect()
}

/// The first `kept` of each pixel's channels, and its transparency.
fn interleaved<T: Copy>(rgb: &[T], alpha: Option<&[T]>, kept: usize) -> Vec<T> {
    let pixels = rgb.as_chunks::<3>().0.iter().map(|pixel| &pixel[..kept]);
    match alpha {
        Some(alpha) => {
            let with_alpha = pixels.zip(alpha);
            with_alpha.flat_map(|(p, a)| p.iter().chain([a]).copied()).collect()
        }
        None => pixels.flatten().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::metadata::{Samples16, narrow};
    use crate::photo::{decode_with_metadata, read};

    fn picture(alpha: bool, icc: bool) -> Picture {
        let rgb = (0..20 * 30 * 3).map(|i| (i * 31 % 256) as u8).collect();
        let alpha = alpha.then(|| (0..20 * 30).map(|i| (i * 7 % 256) as u8).collect());
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(b"RGB ");
        Picture { height: 20, width: 30, rgb, alpha, icc: icc.then_some(profile) }
    }

    #[test]
    fn lossless_formats_give_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        for (extension, alpha, icc) in [
            ("png", true, true),
            ("webp", true, true),
            ("TIFF", true, true),
            ("bmp", true, false),
            ("ppm", false, false),
        ] {
            let path = folder.path().join("a").with_extension(extension);
            for picture in [picture(false, icc), picture(alpha, icc)] {
                write(&picture, &path).unwrap();
                assert_eq!(read(&path).unwrap(), picture, "{extension}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5, "temporary files stay");
    }

    #[test]
    fn jpeg_keeps_profile_and_drops_alpha() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        write(&picture(true, true), &path).unwrap();
        let back = read(&path).unwrap();
        assert_eq!((back.alpha, back.icc), (None, picture(true, true).icc));
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        std::fs::create_dir(path("folder.png")).unwrap();
        for name in ["a.gif", "a", "missing/a.png", "file/a.png", "folder.png"] {
            let error = write(&picture(false, false), &path(name)).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains(".pentimento"), "{error}");
        }
        let long =
            Picture { height: 1, width: 1 << 15, rgb: vec![0; 3 << 15], alpha: None, icc: None };
        let error = write(&long, &path("a.webp")).unwrap_err().to_string();
        assert!(error.contains("16384×16384"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    /// Writes and reads back.
    fn round_trip(picture: &Picture, metadata: &Metadata, name: &str) -> (Picture, Metadata) {
        let bytes = encode(picture, metadata, Path::new(name)).unwrap();
        decode_with_metadata(&bytes, Path::new(name)).unwrap()
    }

    #[test]
    fn gray_stays_gray() {
        let gray_icc = Some([&[0; 16][..], b"GRAY", &[0; 108]].concat());
        let metadata = Metadata { gray: true, gray_icc, ..Metadata::default() };
        for (name, alpha) in
            [("a.jpg", false), ("a.png", true), ("a.webp", true), ("a.tif", false), ("a.bmp", true)]
        {
            // A network's result has colours.
            let (back, read) = round_trip(&picture(alpha, false), &metadata, name);
            assert!(read.gray, "{name}");
            assert_eq!(back.alpha, picture(alpha, false).alpha, "{name}");
            let one_channel = name != "a.webp" && name != "a.bmp";
            assert_eq!(read.gray_icc.is_some(), one_channel, "{name}");
        }
        // With a profile for RGB, three equal channels.
        let (back, read) = round_trip(&picture(false, true), &metadata, "a.png");
        assert!(read.gray && read.gray_icc.is_none() && back.icc.is_some());
    }

    #[test]
    fn sixteen_bits_stay_where_the_size_stays() {
        let rgb: Vec<u16> = (0..20 * 30 * 3).map(|i| (i * 977 % 65_536) as u16).collect();
        let alpha: Vec<u16> = (0..20 * 30).map(|i| (i * 109 % 65_536) as u16).collect();
        let deep =
            Samples16 { height: 20, width: 30, rgb: rgb.clone(), alpha: Some(alpha.clone()) };
        let metadata = Metadata { deep: Some(deep), ..Metadata::default() };
        let narrowed = |samples: &[u16]| samples.iter().map(|&v| narrow(v)).collect();
        let mut picture = picture(false, false);
        (picture.rgb, picture.alpha) = (narrowed(&rgb), Some(narrowed(&alpha)));
        for name in ["a.png", "a.tif"] {
            let (_, read) = round_trip(&picture, &metadata, name);
            assert_eq!(read.deep, metadata.deep, "{name}");
        }
        assert_eq!(round_trip(&picture, &metadata, "a.webp").1.deep, None);
        let large = picture.resized(40, 60).unwrap();
        assert_eq!(round_trip(&large, &metadata, "a.png").1.deep, None);
    }

    #[test]
    fn exif_goes_along_where_there_is_room() {
        // Little-endian, one entry: orientation, SHORT, one value, 6.
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        let upright = |mut exif: Vec<u8>| {
            exif[18] = 1;
            Some(exif)
        };
        for name in ["a.jpg", "a.png", "a.webp"] {
            let metadata = Metadata { exif: Some(exif.clone()), ..Metadata::default() };
            let (back, read) = round_trip(&picture(false, true), &metadata, name);
            assert_eq!(read.exif, upright(exif.clone()), "{name}");
            assert_eq!((back.height, back.width), (20, 30), "{name}");
            assert!(back.icc.is_some(), "{name}");
        }
        exif.resize(70_000, 0);
        let metadata = Metadata { exif: Some(exif), ..Metadata::default() };
        assert_eq!(round_trip(&picture(false, false), &metadata, "a.jpg").1.exif, None);
        assert!(round_trip(&picture(false, false), &metadata, "a.png").1.exif.is_some());
    }
}
