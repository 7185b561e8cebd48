//! The formats that pictures are written in.

use std::path::Path;

use image::ImageFormat;

use super::unsupported_formats;
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
    /// 256 colours; pixels are transparent or not, without colour profile.
    Gif,
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
            "gif" => Format::Gif,
            "bmp" => Format::Bmp,
            "ppm" | "pnm" => Format::Pnm,
            _ => {
                return Err(Error::Image {
                    path: path.to_owned(),
                    what: format!(
                        "the extension does not say which format to write; \
                         use .png, .jpg, .webp,{} .tif, .gif, .bmp or .ppm",
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
            ImageFormat::Gif => Format::Gif,
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
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
            Format::Pnm => "PPM",
        }
    }

    /// Whether files of this format, as they are written here, hold 16 bits.
    pub(super) const fn is_deep(self) -> bool {
        matches!(self, Format::Png | Format::Tiff | Format::Pnm)
    }

    /// Whether they hold an ICC profile.
    pub(super) const fn has_profile(self) -> bool {
        !matches!(self, Format::Bmp | Format::Gif | Format::Pnm)
    }

    /// Whether files of this format, as they are written here, hold transparency.
    pub(super) const fn has_alpha(self) -> bool {
        !matches!(self, Format::Jpeg | Format::Pnm)
    }

    /// The largest width and height that a file of this format holds.
    const fn max_side(self) -> usize {
        match self {
            // 16-bit fields (ITU-T T.81, B.2.2).
            Format::Jpeg => (1 << 16) - 1,
            // GIF89a, section 18.
            Format::Gif => (1 << 16) - 1,
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
