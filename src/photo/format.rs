//! The formats that pictures are written in.

use std::path::Path;

use image::ImageFormat;

use super::{formats, unsupported_formats};
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

/// Extensions of pictures, the usual one first, and the format that is written under them.
const EXTENSIONS: [(Option<Format>, &[&str]); 11] = [
    (Some(Format::Png), &["png", "apng"]),
    (Some(Format::Jpeg), &["jpg", "jpeg", "jpe", "jfif"]),
    (Some(Format::WebP), &["webp"]),
    (Some(Format::Avif), &["avif"]),
    (Some(Format::Tiff), &["tif", "tiff"]),
    (Some(Format::Gif), &["gif"]),
    (Some(Format::Bmp), &["bmp", "dib"]),
    (Some(Format::Pnm), &["ppm", "pnm"]),
    (None, &["heic", "heif", "hif"]),
    (None, &["jxl"]),
    (None, &["pgm", "pbm", "pam"]),
];

/// Extensions of pictures that are refused by their name.
const UNREAD: [&str; 3] = ["jp2", "heics", "avifs"];

/// Extensions as a part of a sentence.
fn listed(extensions: impl Iterator<Item = &'static str>) -> String {
    let all: Vec<String> = extensions.map(|extension| format!(".{extension}")).collect();
    let Some((last, first)) = all.split_last() else { return String::new() };
    if first.is_empty() { last.clone() } else { format!("{} or {last}", first.join(", ")) }
}

impl Format {
    /// The format that `path`'s extension means, in upper or lower case.
    ///
    /// # Errors
    /// [`Error::Image`] when it means none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let extension = extension.to_ascii_lowercase();
        let known = EXTENSIONS.iter().find(|(_, extensions)| extensions.contains(&&*extension));
        let written = known.and_then(|(format, _)| *format).filter(|format| format.is_written());
        written.ok_or_else(|| {
            let usual = |(format, extensions): &(Option<Format>, &[&'static str])| {
                format.filter(|format| format.is_written()).and(extensions.first().copied())
            };
            Error::Image {
                path: path.to_owned(),
                what: format!(
                    "the extension does not say which format to write; use {}",
                    listed(EXTENSIONS.iter().filter_map(usual))
                ),
            }
        })
    }

    /// Whether a path is named as a picture is: one that is read, or one of a kind that phones and
    /// browsers leave among photos.
    #[doc(hidden)]
    #[must_use]
    pub fn is_named_so(path: &Path) -> bool {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let extension = &*extension.to_ascii_lowercase();
        let mut all = EXTENSIONS.iter().flat_map(|(_, extensions)| *extensions);
        all.any(|known| *known == extension) || UNREAD.contains(&extension)
    }

    /// The usual extensions of pictures that are read, as a part of a sentence.
    #[doc(hidden)]
    #[must_use]
    pub fn read_as() -> String {
        let is_read = |extension: &&str| match *extension {
            "avif" | "heic" => cfg!(feature = "codecs"),
            "jxl" => cfg!(not(target_arch = "wasm32")),
            _ => true,
        };
        let usual = EXTENSIONS.iter().filter_map(|(_, extensions)| extensions.first().copied());
        listed(usual.filter(is_read))
    }

    /// Whether this build writes it.
    const fn is_written(self) -> bool {
        cfg!(feature = "codecs") || !matches!(self, Format::Avif)
    }

    /// The format of a file by its first bytes; `None` for any other.
    pub fn of_bytes(file: &[u8]) -> Option<Self> {
        if unsupported_formats::is_heif(file) {
            // AV1 in HEIF is AVIF by its brands.
            let brands = file.get(8..64.min(file.len()))?;
            return brands.as_chunks().0.contains(b"avif").then_some(Format::Avif);
        }
        if formats::is_tiff(file) {
            return Some(Format::Tiff);
        }
        Some(match image::guess_format(file).ok()? {
            ImageFormat::Jpeg => Format::Jpeg,
            ImageFormat::Png => Format::Png,
            ImageFormat::WebP => Format::WebP,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_say_what_is_written_and_what_is_read() {
        let of = |name: &str| Format::of(Path::new(name)).ok();
        assert_eq!(of("a.JPG"), Some(Format::Jpeg));
        assert_eq!(of("a.apng"), Some(Format::Png));
        assert_eq!((of("a.heic"), of("a.jxl"), of("a"), of("a.")), (None, None, None, None));
        let named = |name: &str| Format::is_named_so(Path::new(name));
        assert!(named("a.HEIC") && named("a.gif") && named("a.jp2") && named("a.pgm"));
        assert!(!named("a.dng") && !named("a") && !named("a.txt") && !named(".png"));
        let refused = Format::of(Path::new("a.xyz")).unwrap_err().to_string();
        assert!(refused.contains("use .png, .jpg, .webp, "), "{refused}");
        assert!(refused.ends_with(".tif, .gif, .bmp or .ppm"), "{refused}");
        let read = Format::read_as();
        assert!(read.starts_with(".png, .jpg, .webp, ") && read.ends_with(" or .pgm"), "{read}");
        assert!(read.contains(".jxl") && read.contains(".gif"), "{read}");
    }

    #[test]
    fn formats_by_their_first_bytes() {
        assert_eq!(Format::of_bytes(b"II+\0\x08\0\0\0"), Some(Format::Tiff), "BigTIFF");
        assert_eq!(Format::of_bytes(b"MM\0*\0\0\0\x08"), Some(Format::Tiff));
        assert_eq!(Format::of_bytes(b"GIF89a"), Some(Format::Gif));
        assert_eq!(Format::of_bytes(b"\xFF\x0A"), None);
    }
}
