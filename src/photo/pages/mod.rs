//! The pictures of a file, one after the other: most have one, TIFF has pages, GIF, PNG and WebP
//! have frames.

mod animation;
mod canvas;
mod frames;
mod gif;
mod notes;
mod png;
mod tiff;
mod webp;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::ImageFormat;

use self::frames::{Frames, Shared, Shown};
use super::decode::{self, ReadOptions};
use super::formats::{self, Decoded};
use super::kept::Kept;
use super::tiff::Tiff;
use super::{Format, Metadata, Picture, exif};
use crate::wall::caught;
use crate::{Error, Result};

pub(super) use self::animation::{Animation, gif as in_gif};
pub(super) use self::gif::{cut as cut_in_gif, losses as losses_in_gif, of_one as gif_of_one};
pub use self::notes::PageNotes;
pub use self::writer::PagesWriter;

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
    /// Of an animation.
    plays: u32,
    has_still: bool,
    next: usize,
    /// Of an animation, from its first frame that was asked for on.
    frames: Option<Box<Frames>>,
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
        let Count { kind, count, format, plays, has_still } =
            caught(|| count(&bytes)).map_err(fail)?;
        Ok(Self {
            bytes,
            name: name.to_owned(),
            options: options.clone(),
            kind,
            format,
            count,
            plays,
            has_still,
            next: 0,
            frames: None,
        })
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

    /// How often the frames of an animation are shown; 0: for ever. 1 of other files.
    #[must_use]
    pub fn plays(&self) -> u32 {
        self.plays
    }

    /// The whole file.
    #[must_use]
    pub fn file(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// Height and width of a picture, counted from 0, as the file has it before it is turned
    /// upright; `None` where its header does not tell.
    #[must_use]
    pub fn size(&self, index: usize) -> Option<[usize; 2]> {
        let index = if self.kind == PageKind::Page { index } else { 0 };
        let (width, height) = formats::dimensions_of(&self.bytes, index)?;
        Some([height, width])
    }

    /// Goes on with the picture of this number, counted from 0. Pages before it are not decoded.
    pub fn skip_to(&mut self, index: usize) {
        self.next = index;
    }

    /// Whether a file at `path` can hold all pictures, by its extension.
    ///
    /// # Errors
    /// [`Error::Image`] when its format holds a single picture, or the extension means none.
    pub fn format_for(&self, path: &Path) -> Result<Format> {
        writer::format_for(self.kind, self.count, path)
    }

    /// A frame of an animation. Frames build on each other: those before it are decoded, too.
    fn frame(&mut self, index: usize) -> std::result::Result<Page, String> {
        let (bytes, format) = (&self.bytes, self.format);
        let open = self.frames.take().filter(|frames| frames.next <= index);
        let (frames, Shown { image, delay }) = caught(move || {
            let mut frames = match open {
                Some(frames) => frames,
                None => Box::new(Frames::open(Arc::clone(bytes), format)?),
            };
            while frames.next < index {
                frames.read()?;
            }
            let shown = frames.read()?;
            Ok((frames, shown))
        })?;
        let Shared { exif, icc, notes: of_all } = frames.shared.clone();
        self.frames = Some(frames);
        let orientation = exif::orientation(exif.as_deref());
        let decoded = Decoded { image, orientation, exif, icc, ..Decoded::default() };
        let (picture, metadata, mut notes) = decode::finished(decoded);
        let turned = orientation != image::metadata::Orientation::NoTransforms;
        let kept = if index == 0 { Kept::of(&self.bytes, 0) } else { Kept::default() };
        let metadata = Metadata { kept: Kept { turned, ..kept }, ..metadata };
        if index == 0 && self.has_still {
            notes.push("a still picture for programs without animations was left out".to_owned());
        }
        notes.extend(of_all);
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
            let read = caught(|| decode::picture(bytes, index, options));
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

/// What a file holds, and how many of it.
pub(super) struct Count {
    pub kind: PageKind,
    pub count: usize,
    pub format: Option<ImageFormat>,
    pub plays: u32,
    pub has_still: bool,
}

/// What `bytes` hold.
pub(super) fn count(bytes: &[u8]) -> std::result::Result<Count, String> {
    formats::check_kind(bytes)?;
    let format = image::guess_format(bytes).ok();
    let single = Count { kind: PageKind::Single, count: 1, format, plays: 1, has_still: false };
    if formats::is_tiff(bytes) {
        let count = Tiff::open(bytes).map_err(|fault| fault.sentence())?.len();
        let kind = if count > 1 { PageKind::Page } else { PageKind::Single };
        return Ok(Count { kind, count: count.max(1), ..single });
    }
    Ok(match Animation::of(bytes, format) {
        Some(Animation { frames, plays, has_still }) => {
            Count { kind: PageKind::Frame, count: frames, plays, has_still, ..single }
        }
        None => single,
    })
}
