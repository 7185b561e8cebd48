//! [`Picture`] → files.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::codecs::webp::WebPEncoder;
use image::{ColorType, ImageEncoder, ImageError, ImageFormat, ImageResult};

use super::file::write_whole;
use super::kept::{Kept, PHOTOSHOP_HEADER, XMP_HEADER};
use super::matte::laid_on;
use super::metadata::Metadata;
use super::tiff_file::{self, Page, Samples};
use super::{Picture, containers, exif, tiff_tags, unsupported_formats, xmp};
#[cfg(feature = "codecs")]
use super::{heif, webp};
use crate::{Error, Result};

/// A file format that pictures are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// 8 bits; what is transparent is laid on a matte.
    Jpeg,
    /// Lossless.
    Png,
    /// Lossy at a quality, or lossless.
    WebP,
    /// Lossy; not written in a browser.
    Avif,
    /// Lossless, uncompressed.
    Tiff,
    /// Lossless, uncompressed, without colour profile.
    Bmp,
    /// Lossless, uncompressed, without colour profile; what is transparent is laid on a matte.
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
            #[cfg(feature = "codecs")]
            "avif" => Format::Avif,
            "tif" | "tiff" => Format::Tiff,
            "bmp" => Format::Bmp,
            "ppm" | "pnm" => Format::Pnm,
            _ => {
                return Err(Error::Image {
                    path: path.to_owned(),
                    what: format!(
                        "the extension does not say which format to write; \
                         use .png, .jpg, .webp,{} .tif, .bmp or .ppm",
                        if cfg!(feature = "codecs") { " .avif," } else { "" }
                    ),
                });
            }
        })
    }

    /// The format of a file by its first bytes; `None` for any other.
    pub fn of_bytes(file: &[u8]) -> Option<Self> {
        if unsupported_formats::is_heif(file) {
            // AV1 in HEIF is AVIF by its brands.
            let brands = file.get(8..64.min(file.len()))?;
            return brands.as_chunks().0.contains(b"avif").then_some(Format::Avif);
        }
        Some(match image::guess_format(file).ok()? {
            ImageFormat::Jpeg => Format::Jpeg,
            ImageFormat::Png => Format::Png,
            ImageFormat::WebP => Format::WebP,
            ImageFormat::Tiff => Format::Tiff,
            ImageFormat::Bmp => Format::Bmp,
            ImageFormat::Pnm => Format::Pnm,
            _ => return None,
        })
    }

    /// The name that people know it by.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::WebP => "WebP",
            Format::Avif => "AVIF",
            Format::Tiff => "TIFF",
            Format::Bmp => "BMP",
            Format::Pnm => "PPM",
        }
    }

    /// Whether files of this format, as they are written here, hold 16 bits.
    const fn is_deep(self) -> bool {
        matches!(self, Format::Png | Format::Tiff | Format::Pnm)
    }

    /// Whether they hold an ICC profile.
    const fn has_profile(self) -> bool {
        !matches!(self, Format::Bmp | Format::Pnm)
    }

    /// Whether files of this format, as they are written here, hold transparency.
    const fn has_alpha(self) -> bool {
        !matches!(self, Format::Jpeg | Format::Pnm)
    }

    /// The largest width and height that a file of this format holds.
    const fn max_side(self) -> usize {
        match self {
            // 16-bit fields (ITU-T T.81, B.2.2).
            Format::Jpeg => (1 << 16) - 1,
            // 14-bit fields minus one (RFC 9649, 3.4).
            Format::WebP => 1 << 14,
            // 16-bit fields minus one (AV1, 5.9.5).
            Format::Avif => 1 << 16,
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
            Format::Png | Format::Tiff | Format::Bmp | Format::Pnm => None,
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
    let file =
        File::of(format, encoding.quality_of(format, metadata), picture, metadata, &mut notes);
    let bytes = file.encoded(picture, metadata).map_err(|e| Error::Image {
        path: path.to_owned(),
        what: format!("the picture cannot be encoded: {e}"),
    })?;
    Ok(Encoded { bytes, notes })
}

const JPEG_QUALITY: u8 = 95;
const AVIF_QUALITY: u8 = 90;
const LEAST_QUALITY: u8 = 75;
/// A segment of JPEG has 2^16 - 1 bytes (ITU-T T.81, B.1.1.4); its own length and "Exif\0\0" are
/// among them.
const LONGEST_EXIF: usize = (1 << 16) - 1 - 2 - 6;

/// What goes into a file beside the pixels.
struct File {
    format: Format,
    /// `None` of what is lossless.
    quality: Option<u8>,
    exif: Option<Vec<u8>>,
    kept: Kept,
}

impl File {
    /// What of `metadata` goes into a file of this format; what does not goes to `notes`.
    fn of(
        format: Format,
        quality: Option<u8>,
        picture: &Picture,
        metadata: &Metadata,
        notes: &mut Vec<String>,
    ) -> Self {
        use Format::{Avif, Bmp, Jpeg, Png, Pnm, Tiff, WebP};
        let name = format.name();
        let mut lost: Vec<&str> = Vec::new();
        let mut kept = metadata.kept.clone();
        kept.xmp = kept.xmp.map(xmp::of_result);
        let exif = metadata.exif.as_deref();
        // Files that tell their density nowhere else tell it in EXIF.
        kept.density = kept.density.or_else(|| tiff_tags::density_of_exif(exif?));
        let result = exif.map(|exif| exif::of_result(exif, picture.height, picture.width));
        match &result {
            Some(None) => notes.push("its EXIF is damaged and was left out".to_owned()),
            Some(Some(exif)) if exif.damaged => {
                notes.push("a part of its EXIF is damaged and was left out".to_owned());
            }
            _ => {}
        }
        let mut exif = result.flatten().map(|exif| exif.bytes);
        let mut drop_if = |is: bool, what: &'static str| {
            if is {
                lost.push(what);
            }
            is
        };
        let has_no = |formats: &[Format]| formats.contains(&format);
        let long = |exif: &Vec<u8>| format == Jpeg && exif.len() > LONGEST_EXIF;
        if drop_if(exif.is_some() && has_no(&[Bmp, Pnm]), "EXIF")
            || drop_if(exif.as_ref().is_some_and(long), "so much EXIF")
        {
            exif = None;
        }
        let fits = |header: &[u8], packet: &Option<Vec<u8>>| {
            format != Jpeg || packet.as_ref().is_none_or(|p| containers::fits_jpeg(header, p))
        };
        if drop_if(kept.xmp.is_some() && has_no(&[Bmp, Pnm]), "XMP")
            || drop_if(!fits(XMP_HEADER, &kept.xmp), "so much XMP")
        {
            kept.xmp = None;
        }
        let resource = kept.iptc.as_deref().map(containers::resource);
        if drop_if(kept.iptc.is_some() && has_no(&[Avif, Bmp, Pnm, WebP]), "IPTC")
            || drop_if(!fits(PHOTOSHOP_HEADER, &resource), "so much IPTC")
        {
            kept.iptc = None;
        }
        let in_exif = exif.as_deref().and_then(tiff_tags::density_of_exif).is_some();
        drop_if(
            kept.density.is_some() && !in_exif && has_no(&[Avif, Pnm, WebP]),
            "its size on paper",
        );
        let has_comment = containers::comment(&kept).is_some();
        drop_if(has_comment && has_no(&[Avif, Bmp, Pnm, WebP, Tiff]), "its comment");
        let is_text = |kind: &[u8; 4]| matches!(kind, b"tEXt" | b"zTXt" | b"iTXt");
        let is_comment = |data: &[u8]| data.starts_with(b"Comment\0");
        let texts = kept.chunks.iter().any(|(kind, data)| {
            is_text(kind) && !(format == Jpeg && kind == b"tEXt" && is_comment(data))
        });
        drop_if(texts && format != Png, "the texts of a PNG");
        let has_icc = picture.icc.is_some() || metadata.gray_icc.is_some();
        drop_if(!has_icc && format != Png && kept.has_odd_colours(), "the gamma of a PNG");
        drop_if(has_icc && !format.has_profile(), "a colour profile");
        drop_if(metadata.deep.is_some() && !format.is_deep(), "16 bits");
        if format.is_deep() && metadata.deep.as_ref().is_some_and(|deep| !deep.fits(picture)) {
            notes.push("16 bits became 8: the model makes a picture of another shape".to_owned());
        }
        if let [first @ .., last] = &lost[..] {
            let and = if first.is_empty() { "" } else { " and " };
            let list = format!("{}{and}{last}", first.join(", "));
            notes.push(format!("{name} has no place for {list}: left out"));
        }
        Self { format, quality, exif, kept }
    }

    /// The bytes of the file.
    fn encoded(&self, picture: &Picture, metadata: &Metadata) -> ImageResult<Vec<u8>> {
        let mut to = Cursor::new(Vec::new());
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
                to = Cursor::new(file.map_err(failed)?);
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
        let mut file = to.into_inner();
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
            Format::Avif | Format::Tiff | Format::Pnm => {}
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

fn failed(what: String) -> ImageError {
    ImageError::IoError(std::io::Error::other(what))
}

/// The samples as they are written, and what they are. Those with 16 bits are in the machine's
/// byte order, as the encoders want them.
fn samples<'a>(
    picture: &'a Picture,
    metadata: &Metadata,
    format: Format,
) -> (Cow<'a, [u8]>, ColorType) {
    let alpha = picture.alpha.as_deref().filter(|_| format.has_alpha());
    let one_channel = metadata.gray
        && picture.icc.is_none()
        && matches!(format, Format::Jpeg | Format::Png | Format::Tiff)
        // Some readers of TIFF know no gray with transparency.
        && !(format == Format::Tiff && alpha.is_some());
    let deep = metadata.deep.as_ref().filter(|_| format.is_deep());
    if let Some((deep, rgb)) = deep.and_then(|deep| Some((deep, deep.of_result(picture)?))) {
        let rgb = if metadata.gray { without_colour(&rgb) } else { rgb };
        let alpha = alpha.map(|alpha| deep.alpha_of_result(alpha, [picture.height, picture.width]));
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
