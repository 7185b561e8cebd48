//! [`Picture`] → files.

use std::io::{self, Write};
use std::path::Path;

use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::codecs::webp::WebPEncoder;
use image::{ColorType, ImageEncoder, ImageError, ImageResult};

use super::carried::Carried;
use super::channels::samples;
use super::file::write_whole;
use super::kept::Kept;
use super::matte::laid_on;
use super::metadata::Metadata;
use super::pages::{gif_of_one, losses_in_gif};
use super::tiff_file::{self, Page, Samples};
use super::{Format, Picture, containers};
#[cfg(feature = "codecs")]
use super::{heif, webp};
use crate::{Error, Result};

/// Writes `picture` to `path` in the format of its extension. The file appears whole or not at
/// all: it is written under another name in the same folder, then renamed.
///
/// # Errors
/// [`Error::Image`] when the extension means no format or the picture is too large for it,
/// [`Error::Io`] when the folder is missing or not writable or the disk is full.
pub fn write(picture: &Picture, path: &Path) -> Result<()> {
    write_whole(&encode(picture, &Metadata::default(), path)?, path)
}

/// How files are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// Of JPEG, WebP and AVIF, 1 to 100. `None`: a JPEG or lossy WebP has that of the input where it
    /// is of the same format, but at least 75, which is what libjpeg takes by default. Otherwise a
    /// JPEG has 95, an AVIF 90, and a WebP is lossless.
    pub quality: Option<u8>,
    /// The colour under transparent pixels where the format holds no transparency, red first.
    pub matte: [u8; 3],
}

impl Default for Encoding {
    /// The input's quality, on white.
    fn default() -> Self {
        Self { quality: None, matte: [255; 3] }
    }
}

impl Encoding {
    /// `None` of what is lossless.
    fn quality_of(&self, format: Format, metadata: &Metadata) -> Option<u8> {
        let least = |own: Option<u8>| own.map(|quality| quality.max(LEAST_QUALITY));
        let quality = match format {
            Format::Jpeg => {
                let own = least(metadata.kept.quality);
                Some(self.quality.or(own).unwrap_or(JPEG_QUALITY))
            }
            // Without libwebp there is no lossy one.
            Format::WebP if cfg!(not(feature = "codecs")) => None,
            Format::WebP => self.quality.or(least(metadata.kept.webp_quality)),
            Format::Avif => Some(self.quality.unwrap_or(AVIF_QUALITY)),
            Format::Png | Format::Tiff | Format::Gif | Format::Bmp | Format::Pnm => None,
        };
        quality.map(|quality| quality.clamp(1, 100))
    }
}

/// A file's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The parts of the picture that the format does not hold, a sentence each.
    pub notes: Vec<String>,
}

/// [`encode_with`] with the default [`Encoding`]: the bytes alone.
///
/// # Errors
/// As [`encode_with`].
pub fn encode(picture: &Picture, metadata: &Metadata, path: &Path) -> Result<Vec<u8>> {
    encode_with(picture, metadata, path, &Encoding::default()).map(|encoded| encoded.bytes)
}

/// The bytes of a file with `picture` and what fits of `metadata`, in the format that the extension
/// of `path` means; what goes where is in `docs/metadata.md`. The notes say what does not fit.
///
/// # Errors
/// [`Error::Image`] when the extension means no format or the picture is too large for it.
pub fn encode_with(
    picture: &Picture,
    metadata: &Metadata,
    path: &Path,
    encoding: &Encoding,
) -> Result<Encoded> {
    let format = Format::of(path)?;
    format.check_size(path, picture.height, picture.width)?;
    let mut notes = Vec::new();
    if encoding.quality.is_some() && encoding.quality_of(format, metadata).is_none() {
        let name = format.name();
        notes.push(format!("{name} results are lossless, the quality does not concern them"));
    }
    let opaque = match &picture.alpha {
        Some(_) if !format.has_alpha() => {
            let [red, green, blue] = encoding.matte;
            notes.push(format!(
                "{} holds no transparency: what is transparent was laid on #{red:02x}{green:02x}\
                 {blue:02x}; set another colour as the matte",
                format.name()
            ));
            Some(laid_on(picture, metadata, encoding.matte))
        }
        _ => None,
    };
    let (picture, metadata) = opaque.as_ref().map_or((picture, metadata), |(p, m)| (p, m));
    if format == Format::Gif {
        notes.extend(losses_in_gif(picture));
    }
    let quality = encoding.quality_of(format, metadata);
    let Carried { exif, kept } = Carried::of(format, picture, metadata, &mut notes);
    let file = File { format, quality, exif, kept };
    let bytes = file.encoded(picture, metadata).map_err(|e| Error::Image {
        path: path.to_owned(),
        what: format!("the picture cannot be encoded: {e}"),
    })?;
    Ok(Encoded { bytes, notes })
}

const JPEG_QUALITY: u8 = 95;
const AVIF_QUALITY: u8 = 90;
const LEAST_QUALITY: u8 = 75;

/// A file that is to be written.
struct File {
    format: Format,
    /// `None` of what is lossless.
    quality: Option<u8>,
    exif: Option<Vec<u8>>,
    kept: Kept,
}

impl File {
    /// The bytes of the file.
    fn encoded(&self, picture: &Picture, metadata: &Metadata) -> ImageResult<Vec<u8>> {
        let mut to = Grown(Vec::new());
        let (samples, color) = samples(picture, metadata, self.format);
        let icc = if color.has_color() { &picture.icc } else { &metadata.gray_icc };
        let (height, width) = (picture.height, picture.width);
        match self.format {
            Format::Jpeg => {
                let quality = self.quality.unwrap_or(JPEG_QUALITY);
                let encoder = JpegEncoder::new_with_quality(&mut to, quality);
                self.write(encoder, picture, &samples, color, icc.as_deref())?;
            }
            Format::Png => {
                self.write(PngEncoder::new(&mut to), picture, &samples, color, icc.as_deref())?;
            }
            #[cfg(feature = "codecs")]
            Format::WebP if self.quality.is_some() => {
                let quality = self.quality.unwrap_or_default();
                let file = webp::lossy(&samples, [height, width], color.has_alpha(), quality);
                to = Grown(file.map_err(failed)?);
            }
            Format::WebP => {
                let (width, height) = (width as u32, height as u32);
                WebPEncoder::new_lossless(&mut to).encode(&samples, width, height, color.into())?;
            }
            #[cfg(feature = "codecs")]
            Format::Avif => {
                let (exif, xmp) = (self.exif.as_deref(), self.kept.xmp.as_deref());
                let parts = heif::Parts { icc: icc.as_deref(), exif, xmp };
                let quality = self.quality.unwrap_or(AVIF_QUALITY);
                let file = heif::encoded(&samples, [height, width], color, quality, &parts);
                return file.map_err(failed);
            }
            #[cfg(not(feature = "codecs"))]
            Format::Avif => return Err(failed("AVIF is not written in a browser".to_owned())),
            Format::Gif => return gif_of_one(picture, metadata.gray, &self.kept).map_err(failed),
            Format::Bmp => self.write(BmpEncoder::new(&mut to), picture, &samples, color, None)?,
            Format::Pnm if color == ColorType::Rgb16 => {
                // Of the machine's order of bytes to the file's: the highest first.
                let shorts = bytemuck::pod_collect_to_vec::<u8, u16>(&samples);
                let mut file = format!("P6\n{width} {height}\n65535\n").into_bytes();
                file.extend(shorts.iter().flat_map(|v| v.to_be_bytes()));
                return Ok(file);
            }
            Format::Pnm => {
                let subtype = PnmSubtype::Pixmap(SampleEncoding::Binary);
                let encoder = PnmEncoder::new(&mut to).with_subtype(subtype);
                self.write(encoder, picture, &samples, color, None)?;
            }
            Format::Tiff => {
                let shorts: Vec<u16>;
                let channels = usize::from(color.channel_count());
                let samples = if usize::from(color.bytes_per_pixel()) > channels {
                    shorts = bytemuck::pod_collect_to_vec(&samples);
                    Samples::Shorts(&shorts)
                } else {
                    Samples::Bytes(&samples)
                };
                let page = Page { height, width, channels, samples, icc: icc.as_deref() };
                let file = tiff_file::encoded(&page, self.exif.as_deref(), &self.kept);
                return file.ok_or_else(|| failed("a TIFF holds at most 4 GiB".to_owned()));
            }
        }
        let Grown(mut file) = to;
        match self.format {
            Format::Jpeg => containers::into_jpeg(&mut file, &self.kept),
            Format::Png => containers::into_png(&mut file, &self.kept, icc.is_some()),
            Format::WebP => {
                let (exif, xmp) = (self.exif.as_deref(), self.kept.xmp.as_deref());
                let parts = containers::WebPParts { icc: icc.as_deref(), exif, xmp };
                containers::into_webp(&mut file, &parts, [height, width], color.has_alpha());
            }
            Format::Bmp => {
                if let Some(density) = self.kept.density {
                    containers::into_bmp(&mut file, density);
                }
            }
            Format::Avif | Format::Gif | Format::Tiff | Format::Pnm => {}
        }
        Ok(file)
    }

    fn write(
        &self,
        mut encoder: impl ImageEncoder,
        picture: &Picture,
        samples: &[u8],
        color: ColorType,
        icc: Option<&[u8]>,
    ) -> ImageResult<()> {
        if let Some(icc) = icc {
            encoder.set_icc_profile(icc.to_vec()).map_err(ImageError::Unsupported)?;
        }
        if let Some(exif) = &self.exif {
            encoder.set_exif_metadata(exif.clone()).map_err(ImageError::Unsupported)?;
        }
        // `check_size` was called before: no format here holds more than 2³¹ - 1 pixels a side.
        encoder.write_image(samples, picture.width as u32, picture.height as u32, color.into())
    }
}

/// A file in memory. Where there is none left to grow, that is an error.
struct Grown(Vec<u8>);

impl Write for Grown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(what: String) -> ImageError {
    ImageError::IoError(io::Error::other(what))
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
    fn jpeg_keeps_profile_and_is_laid_on_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        write(&picture(true, true), &path).unwrap();
        let back = read(&path).unwrap();
        assert_eq!((back.alpha, back.icc), (None, picture(true, true).icc));
        // The first pixel is wholly transparent.
        assert!(back.rgb[..3].iter().all(|&v| v > 230), "{:?}", &back.rgb[..3]);
        let encoding = Encoding { matte: [0, 0, 255], ..Encoding::default() };
        let clear = Picture { alpha: Some(vec![0; 600]), ..picture(true, false) };
        let encoded = encode_with(&clear, &Metadata::default(), &path, &encoding).unwrap();
        assert!(encoded.notes[0].contains("#0000ff"), "{:?}", encoded.notes);
        let back = decode_with_metadata(&encoded.bytes, &path).unwrap().0;
        assert!(back.rgb.as_chunks::<3>().0.iter().all(|p| p[2] > 250 && p[0] < 5));
    }

    #[test]
    fn a_jpeg_is_written_as_well_as_it_was_read() {
        let path = Path::new("a.jpg");
        let size = |quality| {
            let encoding = Encoding { quality, ..Encoding::default() };
            let encoded =
                encode_with(&picture(false, false), &Metadata::default(), path, &encoding);
            encoded.unwrap().bytes
        };
        for quality in [60, 80, 88, 97, 100] {
            let file = size(Some(quality));
            let (_, metadata) = decode_with_metadata(&file, path).unwrap();
            assert_eq!(metadata.kept.quality, Some(quality));
            let again = encode(&picture(false, false), &metadata, path).unwrap();
            let read = decode_with_metadata(&again, path).unwrap().1.kept.quality;
            assert_eq!(read, Some(quality.max(LEAST_QUALITY)));
        }
        assert!(size(Some(60)).len() < size(None).len());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        std::fs::create_dir(path("folder.png")).unwrap();
        for name in ["a.xyz", "a", "missing/a.png", "file/a.png", "folder.png"] {
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
    fn sixteen_bits_stay() {
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
        assert_eq!(round_trip(&large, &metadata, "a.png").1.deep.unwrap().width, 60);
        let other = picture.resized(40, 50).unwrap();
        assert_eq!(round_trip(&other, &metadata, "a.png").1.deep, None);
    }

    #[test]
    fn exif_goes_along_where_there_is_room() {
        // Little-endian, one entry: orientation, SHORT, one value, 6.
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        let upright = |mut exif: Vec<u8>| {
            exif[18] = 1;
            Some(exif)
        };
        for name in ["a.jpg", "a.png", "a.webp", "a.tif"] {
            let metadata = Metadata { exif: Some(exif.clone()), ..Metadata::default() };
            let (back, read) = round_trip(&picture(false, true), &metadata, name);
            // In a TIFF, how it is turned is the file's own.
            let expected = upright(exif.clone()).filter(|_| name != "a.tif");
            assert_eq!(read.exif, expected, "{name}");
            assert_eq!((back.height, back.width), (20, 30), "{name}");
            assert!(back.icc.is_some(), "{name}");
        }
        exif.resize(70_000, 0);
        let metadata = Metadata { exif: Some(exif), ..Metadata::default() };
        assert_eq!(round_trip(&picture(false, false), &metadata, "a.jpg").1.exif, None);
        assert!(round_trip(&picture(false, false), &metadata, "a.png").1.exif.is_some());
    }
}
