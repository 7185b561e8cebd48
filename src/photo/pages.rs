//! The pictures of a file, one after the other: most have one, TIFF has pages, GIF, PNG and WebP
//! have frames.

use std::collections::VecDeque;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder as _, Frame, Frames, ImageDecoder as _, ImageFormat};

use super::decode::{self, ReadOptions};
use super::formats::{self, Decoded};
use super::tiff::Tiff;
use super::wall::walled;
use super::{Metadata, Picture};
use crate::{Error, Result};

/// One picture of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The picture, upright.
    pub picture: Picture,
    /// Metadata for the result's file.
    pub metadata: Metadata,
    /// Its unusual, missing or omitted parts, a sentence each without the file's name.
    pub notes: Vec<String>,
    /// How long a frame of an animation is shown.
    pub delay: Option<Duration>,
}

/// The kind of a file's pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// The only picture of the file.
    Single,
    /// A page of several, in TIFF.
    Page,
    /// A frame of an animation, in GIF, PNG and WebP.
    Frame,
}

/// The pictures of a file, in their order; each is decoded when it is asked for.
///
/// ```no_run
/// use pentimento::photo::{Pages, ReadOptions};
///
/// let pages = Pages::read("scans.tif".as_ref(), &ReadOptions::default())?;
/// println!("{} pictures", pages.len());
/// for page in pages {
///     let page = page?;
///     println!("{}×{}", page.picture.width, page.picture.height);
/// }
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct Pages {
    bytes: Arc<[u8]>,
    name: PathBuf,
    options: ReadOptions,
    kind: PageKind,
    format: Option<ImageFormat>,
    count: usize,
    next: usize,
    ready: VecDeque<FrameResult>,
}

impl Pages {
    /// The pictures of the file at `path`.
    ///
    /// # Errors
    /// As [`decode`](super::decode()), but not for more than one picture, and [`Error::Io`] when the
    /// file cannot be read.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::open(bytes, path, options)
    }

    /// The pictures in `bytes`; `name` is for messages.
    ///
    /// # Errors
    /// As [`decode`](super::decode()), but not for more than one picture.
    pub fn open(bytes: impl Into<Arc<[u8]>>, name: &Path, options: &ReadOptions) -> Result<Self> {
        let bytes = bytes.into();
        let fail = |what| Error::Image { path: name.to_owned(), what };
        let (kind, count, format) =
            walled(|| count(&bytes)).and_then(|found| found).map_err(fail)?;
        let (name, options) = (name.to_owned(), options.clone());
        Ok(Self { bytes, name, options, kind, format, count, next: 0, ready: VecDeque::new() })
    }

    /// The number of pictures that the file says it has, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never: a file without pictures is an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the file has more than one picture.
    #[must_use]
    pub fn is_several(&self) -> bool {
        self.count > 1
    }

    /// The kind of the pictures.
    #[must_use]
    pub fn kind(&self) -> PageKind {
        self.kind
    }

    /// The next frame of an animation. Frames build on each other: as many as fit are decoded at
    /// once.
    fn frame(&mut self, index: usize) -> std::result::Result<Page, String> {
        if self.ready.is_empty() {
            let (bytes, format) = (self.bytes.clone(), self.format);
            self.ready = walled(move || frames(bytes, format, index)).and_then(|found| found)?;
        }
        let frame = self.ready.pop_front();
        let frame = frame.ok_or("the animation has fewer frames than it says")??;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let delay = Duration::from_millis((numerator / denominator.max(1)).into());
        let image = frame.into_buffer().into();
        let decoded = Decoded { image, ..Decoded::default() };
        let (picture, metadata, notes) = decode::finished(decoded);
        Ok(Page { picture, metadata, notes, delay: Some(delay) })
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        if self.next >= self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let page = if self.kind == PageKind::Frame {
            let page = self.frame(index);
            if page.is_err() {
                // Those behind it cannot be told.
                self.next = self.count;
            }
            page
        } else {
            let (bytes, options) = (&self.bytes, &self.options);
            let read = walled(|| decode::picture(bytes, index, options)).and_then(|read| read);
            read.map(|(picture, metadata, notes)| Page { picture, metadata, notes, delay: None })
        };
        Some(page.map_err(|what| {
            let what = match self.kind {
                PageKind::Single => what,
                PageKind::Page => format!("page {} of {}: {what}", index + 1, self.count),
                PageKind::Frame => format!("frame {} of {}: {what}", index + 1, self.count),
            };
            Error::Image { path: self.name.clone(), what }
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.count - self.next))
    }
}

type FrameResult = std::result::Result<Frame, String>;

/// Bytes of frames that are decoded at once.
const READY: usize = 128 << 20;

/// Frames from `first` on, as many as [`READY`] holds, up to one that is damaged.
fn frames(
    bytes: Arc<[u8]>,
    format: Option<ImageFormat>,
    first: usize,
) -> std::result::Result<VecDeque<FrameResult>, String> {
    let (opened, size) = opened(bytes, format)?;
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
    Ok(ready)
}

/// What a file holds, and how many of it.
pub(super) fn count(
    bytes: &[u8],
) -> std::result::Result<(PageKind, usize, Option<ImageFormat>), String> {
    formats::check_kind(bytes)?;
    let format = image::guess_format(bytes).ok();
    let (kind, count) = match format {
        _ if formats::is_tiff(bytes) => {
            (PageKind::Page, Tiff::open(bytes).map_err(|fault| fault.sentence())?.len())
        }
        Some(ImageFormat::Gif) => (PageKind::Frame, gif_frames(bytes)),
        Some(ImageFormat::Png) => (PageKind::Frame, png_frames(bytes)),
        Some(ImageFormat::WebP) => (PageKind::Frame, webp_frames(bytes)),
        _ => (PageKind::Single, 1),
    };
    Ok(if count > 1 { (kind, count, format) } else { (PageKind::Single, 1, format) })
}

/// All frames, and the bytes of one.
fn opened(
    bytes: Arc<[u8]>,
    format: Option<ImageFormat>,
) -> std::result::Result<(Frames<'static>, usize), String> {
    let file = Cursor::new(bytes);
    let describe = |e: image::ImageError| formats::describe(&e);
    let size = |(width, height): (u32, u32)| 4 * width as usize * height as usize;
    Ok(match format {
        Some(ImageFormat::Gif) => {
            let mut decoder = GifDecoder::new(file).map_err(describe)?;
            formats::check(&mut decoder)?;
            let size = size(decoder.dimensions());
            (decoder.into_frames(), size)
        }
        Some(ImageFormat::WebP) => {
            let mut decoder = WebPDecoder::new(file).map_err(describe)?;
            formats::check(&mut decoder)?;
            let size = size(decoder.dimensions());
            (decoder.into_frames(), size)
        }
        _ => {
            let mut decoder = PngDecoder::new(file).map_err(describe)?;
            formats::check(&mut decoder)?;
            let size = size(decoder.dimensions());
            (decoder.apng().map_err(describe)?.into_frames(), size)
        }
    })
}

/// GIF89a, section 20: an image descriptor a frame.
fn gif_frames(bytes: &[u8]) -> usize {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let Some(&flags) = bytes.get(10) else { return 1 };
    let (mut at, mut count) = (13 + table(flags), 0);
    loop {
        at += match bytes.get(at) {
            Some(0x2C) => {
                count += 1;
                let Some(&flags) = bytes.get(at + 9) else { break };
                // Behind the descriptor and its table stands the size of the codes.
                10 + table(flags) + 1
            }
            Some(0x21) => 2,
            _ => break,
        };
        while let Some(&length) = bytes.get(at) {
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
    }
    count.max(1)
}

/// The number that the chunk `acTL` tells, which stands before the pixels.
fn png_frames(bytes: &[u8]) -> usize {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 12) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        match &head[4..8] {
            b"IDAT" => break,
            b"acTL" => {
                return u32::from_be_bytes([head[8], head[9], head[10], head[11]]) as usize;
            }
            _ => at = at.saturating_add(length).saturating_add(12),
        }
    }
    1
}

/// RFC 9649, section 2.7.1: a chunk `ANMF` a frame.
fn webp_frames(bytes: &[u8]) -> usize {
    let (mut at, mut count) = (12_usize, 0);
    while let Some(head) = bytes.get(at..at.saturating_add(8)) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        count += usize::from(head.starts_with(b"ANMF"));
        at = at.saturating_add(8).saturating_add(length).saturating_add(length % 2);
    }
    count.max(1)
}
