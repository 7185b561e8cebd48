//! The frames of an animation, each as it is shown.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat};

use super::super::formats;
use super::{gif, png, webp};

/// A frame on all that is seen with it.
pub(super) struct Shown {
    pub image: DynamicImage,
    pub delay: Duration,
}

/// What all frames of an animation share.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub exif: Option<Vec<u8>>,
    pub icc: Option<Vec<u8>>,
    /// What is unusual, a sentence each.
    pub notes: Vec<String>,
}

/// The frames from the next one on. They build on each other: none can be left out.
pub(super) struct Frames {
    reader: Reader,
    /// The number of the next frame, from 0.
    pub next: usize,
    pub shared: Shared,
}

enum Reader {
    Gif(Box<gif::Reader>),
    Png(Box<png::Reader>),
    WebP(webp::Reader),
}

impl Frames {
    /// All frames of a file.
    pub(super) fn open(bytes: Arc<[u8]>, format: Option<ImageFormat>) -> Result<Self, String> {
        let file = || Cursor::new(Arc::clone(&bytes));
        let describe = |e: image::ImageError| formats::describe(&e);
        let (size, mut shared) = match format {
            Some(ImageFormat::Gif) => checked(&mut GifDecoder::new(file()).map_err(describe)?)?,
            Some(ImageFormat::WebP) => checked(&mut WebPDecoder::new(file()).map_err(describe)?)?,
            _ => checked(&mut PngDecoder::new(file()).map_err(describe)?)?,
        };
        let reader = match format {
            Some(ImageFormat::Gif) => {
                shared.notes.extend(gif::cut(&bytes));
                Reader::Gif(Box::new(gif::Reader::open(bytes, size)?))
            }
            Some(ImageFormat::WebP) => Reader::WebP(webp::Reader::open(bytes, size)?),
            _ => {
                let reader = png::Reader::open(bytes, size)?;
                if reader.is_deep() {
                    shared.notes.push("16 bits became 8: frames are written with 8".to_owned());
                }
                Reader::Png(Box::new(reader))
            }
        };
        Ok(Self { reader, next: 0, shared })
    }

    /// The next frame.
    ///
    /// # Errors
    /// A sentence, also when there is none left.
    pub(super) fn read(&mut self) -> Result<Shown, String> {
        let shown = match &mut self.reader {
            Reader::Gif(reader) => reader.read()?,
            Reader::Png(reader) => reader.read()?,
            Reader::WebP(reader) => reader.read()?,
        };
        self.next += 1;
        shown.ok_or_else(|| "the animation has fewer frames than it says".to_owned())
    }
}

/// Columns and rows, and what is not pixels.
fn checked(decoder: &mut impl ImageDecoder) -> Result<([usize; 2], Shared), String> {
    formats::check(decoder)?;
    let (width, height) = decoder.dimensions();
    let icc = decoder.icc_profile().unwrap_or_default();
    let exif = decoder.exif_metadata().unwrap_or_default().map(formats::without_header);
    Ok(([width as usize, height as usize], Shared { exif, icc, notes: Vec::new() }))
}
