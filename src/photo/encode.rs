//! [`Picture`] → files.

use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageResult};

use super::Picture;
use crate::{Error, Result};

/// A file format that pictures are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Quality 95; transparency is dropped.
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
    let format = Format::of(path)?;
    format.check_size(path, picture.height, picture.width)?;
    let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
    if path.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut options = tempfile::Builder::new();
    options.prefix(".pentimento-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // What the system gives to new files, less the umask, instead of "owner only".
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // tempfile's message would name the temporary file; its kind says enough.
    let mut file = options.tempfile_in(folder).map_err(|e| io(e.kind().into()))?;
    let mut buffer = BufWriter::new(file.as_file_mut());
    encode(picture, format, &mut buffer)
        .and_then(|()| buffer.flush().map_err(ImageError::IoError))
        .map_err(|e| match e {
            ImageError::IoError(e) => io(e),
            other => Error::Image {
                path: path.to_owned(),
                what: format!("the picture cannot be encoded: {other}"),
            },
        })?;
    drop(buffer);
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

const JPEG_QUALITY: u8 = 95;

fn encode(picture: &Picture, format: Format, to: &mut (impl Write + Seek)) -> ImageResult<()> {
    match format {
        Format::Jpeg => rgb(picture, JpegEncoder::new_with_quality(to, JPEG_QUALITY)),
        Format::Pnm => {
            let subtype = PnmSubtype::Pixmap(SampleEncoding::Binary);
            rgb(picture, PnmEncoder::new(to).with_subtype(subtype))
        }
        Format::Png => with_alpha(picture, PngEncoder::new(to)),
        Format::WebP => with_alpha(picture, WebPEncoder::new_lossless(to)),
        Format::Tiff => with_alpha(picture, TiffEncoder::new(to)),
        Format::Bmp => with_alpha(picture, BmpEncoder::new(to)),
    }
}

fn with_alpha(picture: &Picture, encoder: impl ImageEncoder) -> ImageResult<()> {
    let Some(alpha) = &picture.alpha else { return rgb(picture, encoder) };
    let pixels = picture.rgb.chunks_exact(3).zip(alpha);
    let rgba: Vec<u8> = pixels.flat_map(|(p, &a)| [p[0], p[1], p[2], a]).collect();
    finish(picture, encoder, &rgba, ExtendedColorType::Rgba8)
}

fn rgb(picture: &Picture, encoder: impl ImageEncoder) -> ImageResult<()> {
    finish(picture, encoder, &picture.rgb, ExtendedColorType::Rgb8)
}

fn finish(
    picture: &Picture,
    mut encoder: impl ImageEncoder,
    bytes: &[u8],
    color: ExtendedColorType,
) -> ImageResult<()> {
    if let Some(icc) = &picture.icc {
        // BMP and PNM have no place for it: the colours are then taken for sRGB.
        if encoder.set_icc_profile(icc.clone()).is_err() {
            log::debug!("the colour profile is not written: the format has no place for it");
        }
    }
    // `check_size` was called before: no format here holds more than 2³¹ - 1 pixels a side.
    encoder.write_image(bytes, picture.width as u32, picture.height as u32, color)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::read;

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
}
