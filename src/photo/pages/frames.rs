//! The frames of an animation, each as it is shown.

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::Arc;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder as _, Frame, Frames, ImageDecoder, ImageFormat};

use super::super::formats;

pub(super) type FrameResult = Result<Frame, String>;

/// Bytes of frames that are decoded at once.
const READY: usize = 128 << 20;

/// What all frames of an animation share.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub exif: Option<Vec<u8>>,
    pub icc: Option<Vec<u8>>,
}

/// Frames from `first` on, as many as [`READY`] holds, up to one that is damaged, and what they
/// share.
pub(super) fn frames(
    bytes: Arc<[u8]>,
    format: Option<ImageFormat>,
    first: usize,
) -> Result<(VecDeque<FrameResult>, Shared), String> {
    let (opened, size, shared) = opened(bytes, format)?;
    let (mut ready, mut used) = (VecDeque::new(), 0);
    for frame in opened.skip(first) {
        let frame = frame.map_err(|e| formats::describe(&e));
        let is_damaged = frame.is_err();
        ready.push_back(frame);
        used += size;
        if used > READY || is_damaged {
            break;
        }
    }
    Ok((ready, shared))
}

/// All frames, the bytes of one, and what they share.
fn opened(
    bytes: Arc<[u8]>,
    format: Option<ImageFormat>,
) -> Result<(Frames<'static>, usize, Shared), String> {
    let file = Cursor::new(bytes);
    let describe = |e: image::ImageError| formats::describe(&e);
    Ok(match format {
        Some(ImageFormat::Gif) => {
            let mut decoder = GifDecoder::new(file).map_err(describe)?;
            let (size, shared) = checked(&mut decoder)?;
            (decoder.into_frames(), size, shared)
        }
        Some(ImageFormat::WebP) => {
            let mut decoder = WebPDecoder::new(file).map_err(describe)?;
            let (size, shared) = checked(&mut decoder)?;
            (decoder.into_frames(), size, shared)
        }
        _ => {
            let mut decoder = PngDecoder::new(file).map_err(describe)?;
            let (size, shared) = checked(&mut decoder)?;
            (decoder.apng().map_err(describe)?.into_frames(), size, shared)
        }
    })
}

fn checked(decoder: &mut impl ImageDecoder) -> Result<(usize, Shared), String> {
    formats::check(decoder)?;
    let (width, height) = decoder.dimensions();
    let icc = decoder.icc_profile().unwrap_or_default();
    let exif = decoder.exif_metadata().unwrap_or_default().map(formats::without_header);
    Ok((4 * width as usize * height as usize, Shared { exif, icc }))
}
