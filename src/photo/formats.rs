//! The reader of each format.

use std::io::Cursor;

use image::codecs::pnm::{PnmDecoder, PnmSubtype, SampleEncoding};
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat};
use image::{ImageReader, Limits};

use super::decode::{MAX_PIXELS, ReadOptions};
#[cfg(feature = "codecs")]
use super::heif;
use super::jpeg::{Colours, Jpeg};
#[cfg(not(target_arch = "wasm32"))]
use super::jxl;
use super::pages::cut_in_gif;
use super::tiff::Tiff;
use super::{exif, left_out, tiff_tags, unsupported_formats};

/// A picture as it lies in its file.
pub(super) struct Decoded {
    pub(super) image: DynamicImage,
    pub(super) orientation: Orientation,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) icc: Option<Vec<u8>>,
    /// An XMP packet, of formats whose files only their decoder can take apart.
    pub(super) xmp: Option<Vec<u8>>,
    pub(super) notes: Vec<String>,
}

impl Default for Decoded {
    fn default() -> Self {
        Self {
            image: DynamicImage::default(),
            orientation: Orientation::NoTransforms,
            exif: None,
            icc: None,
            xmp: None,
            notes: Vec::new(),
        }
    }
}

/// Picture `index` of a file.
pub(super) fn read(bytes: &[u8], index: usize, options: &ReadOptions) -> Result<Decoded, String> {
    check_kind(bytes)?;
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes, options),
        _ if is_tiff(bytes) => tiff(bytes, index, options),
        #[cfg(not(target_arch = "wasm32"))]
        _ if unsupported_formats::is_jpeg_xl(bytes) => jxl::read(bytes),
        #[cfg(feature = "codecs")]
        _ if unsupported_formats::is_heif(bytes) => heif::read(bytes),
        Ok(format) => other(bytes, format),
        Err(_) => Err(format!("not a picture; the formats that are read are {FORMATS}")),
    }
}

/// Refuses a file that is not a picture, by its format's name where that is known.
pub(super) fn check_kind(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    unsupported_formats::named(bytes).map_or(Ok(()), Err)
}

/// Whether `bytes` are TIFF or BigTIFF.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"II+\0", b"MM\0*", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic))
}

/// Width and height of the first picture in `bytes`, as its header tells them; `None` where there is
/// none that can be read. No pixel is decoded.
#[doc(hidden)]
pub fn dimensions(bytes: &[u8]) -> Option<(usize, usize)> {
    dimensions_of(bytes, 0)
}

/// As [`dimensions`], of page `index` in a TIFF.
pub(super) fn dimensions_of(bytes: &[u8], index: usize) -> Option<(usize, usize)> {
    let (width, height) = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Jpeg::open(None, bytes).ok()?.dimensions(),
        _ if is_tiff(bytes) => Tiff::open(bytes).ok()?.dimensions(index),
        #[cfg(not(target_arch = "wasm32"))]
        _ if unsupported_formats::is_jpeg_xl(bytes) => jxl::dimensions(bytes)?,
        #[cfg(feature = "codecs")]
        _ if unsupported_formats::is_heif(bytes) => heif::dimensions(bytes)?,
        Ok(format) => {
            let reader = ImageReader::with_format(Cursor::new(bytes), format);
            reader.into_dimensions().ok()?
        }
        Err(_) => return None,
    };
    Some((width as usize, height as usize))
}

fn jpeg(bytes: &[u8], options: &ReadOptions) -> Result<Decoded, String> {
    let jpeg = Jpeg::open(None, bytes).map_err(|fault| fault.sentence())?;
    check_size(jpeg.dimensions())?;
    let (all, icc) = (jpeg.exif(), jpeg.icc());
    let (exif, left_out) = exif::chosen(all);
    let pixels = jpeg.pixels(Colours::Told, options.salvage);
    let (image, mut notes) = pixels.map_err(|fault| fault.sentence())?;
    if left_out > 0 {
        notes.push(format!("{left_out} further EXIF segments of the file are left out"));
    }
    notes.extend(left_out::of_jpeg(bytes));
    let orientation = exif::orientation(exif.as_deref());
    Ok(Decoded { image, orientation, exif, icc, notes, ..Decoded::default() })
}

fn tiff(bytes: &[u8], index: usize, options: &ReadOptions) -> Result<Decoded, String> {
    let tiff = Tiff::open(bytes).map_err(|fault| fault.sentence())?;
    check_size(tiff.dimensions(index))?;
    let page = tiff.page(index, options.salvage).map_err(|fault| fault.sentence())?;
    Ok(Decoded {
        image: page.image,
        orientation: page.orientation,
        exif: tiff_tags::exif(bytes, tiff.place(index)),
        icc: page.icc,
        notes: page.notes,
        ..Decoded::default()
    })
}

/// Bounds what a decoder may use.
pub(super) fn check(decoder: &mut impl ImageDecoder) -> Result<(), String> {
    check_size(decoder.dimensions())?;
    let mut limits = Limits::no_limits();
    // A pixel of 4 channels at 16 bits takes 8 bytes, and decoders keep a second copy at times.
    limits.max_alloc = Some(MAX_PIXELS as u64 * 16);
    decoder.set_limits(limits).map_err(|e| describe(&e))
}

fn other(bytes: &[u8], format: ImageFormat) -> Result<Decoded, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_PIXELS as u64 * 16);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| describe(&e))?;
    check_size(decoder.dimensions())?;
    if let ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 = decoder.original_color_type() {
        return Err(CMYK.to_owned());
    }
    let icc = decoder.icc_profile().unwrap_or_default();
    let exif = decoder.exif_metadata().unwrap_or_default().map(without_header);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| describe(&e))?;
    let mut notes = Vec::new();
    if format == ImageFormat::Bmp
        && let Some(rgba) = image.as_rgba8()
        && rgba.pixels().all(|pixel| pixel.0[3] == 0)
    {
        // Writers of 32-bit BMP leave the fourth byte at 0 where they mean no transparency.
        notes.push("all its pixels were transparent, which is taken for opaque".to_owned());
        image = image.into_rgb8().into();
    }
    if format == ImageFormat::Gif {
        notes.extend(cut_in_gif(bytes));
    }
    if format == ImageFormat::Pnm {
        notes.extend(behind_pnm(bytes));
    }
    let orientation = exif::orientation(exif.as_deref());
    Ok(Decoded { image, orientation, exif, icc, notes, ..Decoded::default() })
}

/// What a binary PNM holds behind its first picture, as a sentence: its format lets others follow.
fn behind_pnm(bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(bytes);
    let decoder = PnmDecoder::new(&mut cursor).ok()?;
    let (width, height) = decoder.dimensions();
    let length = match decoder.subtype() {
        PnmSubtype::Bitmap(SampleEncoding::Binary) => {
            u64::from(width.div_ceil(8)) * u64::from(height)
        }
        PnmSubtype::Graymap(SampleEncoding::Binary)
        | PnmSubtype::Pixmap(SampleEncoding::Binary)
        | PnmSubtype::ArbitraryMap => decoder.total_bytes(),
        _ => return None,
    };
    drop(decoder);
    let end = usize::try_from(cursor.position().checked_add(length)?).ok()?;
    let rest = bytes.get(end..)?.trim_ascii_start();
    match rest {
        [] => None,
        [b'P', b'1'..=b'7', ..] => {
            Some("left out of the file: the pictures behind the first".to_owned())
        }
        _ => Some(format!("left out of the file: {} bytes behind the picture", rest.len())),
    }
}

/// Some writers of WebP put the header of JPEG's segment before EXIF.
pub(super) fn without_header(mut exif: Vec<u8>) -> Vec<u8> {
    if exif.starts_with(b"Exif\0\0") {
        exif.drain(..6);
    }
    exif
}

const FORMATS: &str = if cfg!(feature = "codecs") {
    "JPEG, PNG, WebP, TIFF, HEIC, AVIF, JPEG XL, GIF, BMP and PNM"
} else if cfg!(target_arch = "wasm32") {
    "JPEG, PNG, WebP, TIFF, GIF, BMP and PNM"
} else {
    "JPEG, PNG, WebP, TIFF, JPEG XL, GIF, BMP and PNM"
};
pub(super) const TRUNCATED: &str = "the picture is truncated: its end is missing";
pub(super) const CMYK: &str = "the picture holds the colours of printing inks (CMYK), which look different on every printer; \
     convert it to RGB first";

pub(super) fn check_size((width, height): (u32, u32)) -> Result<(), String> {
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

pub(super) fn describe(error: &ImageError) -> String {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => TRUNCATED.into(),
        ImageError::Unsupported(e) => {
            format!("this kind of picture is not read ({e}); the formats are {FORMATS}")
        }
        ImageError::Limits(_) => "the picture needs too much memory to be decoded".into(),
        other => {
            let text = other.to_string().replace(char::is_control, " ");
            format!("the picture is damaged: {text}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::behind_pnm;

    #[test]
    fn pictures_behind_the_first_are_told() {
        let grey: &[u8] = b"P5\n# first\n3 2\n255\nabcdef";
        let bits: &[u8] = b"P4 9 1\n\xFF\x80";
        for file in [grey, bits, b"P6 1 1 65535\nabcdef", b"P2 1 1 255\n7\n"] {
            assert_eq!(behind_pnm(file), None);
            assert_eq!(behind_pnm(&[file, b"\n"].concat()), None);
        }
        for file in [grey, bits] {
            let told = behind_pnm(&[file, grey].concat()).unwrap();
            assert!(told.contains("the pictures behind the first"), "{told}");
        }
        assert!(behind_pnm(&[grey, b"stray"].concat()).unwrap().contains("5 bytes"));
        assert_eq!(behind_pnm(b"P5 4 4 255\nab"), None);
    }
}
