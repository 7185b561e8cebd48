//! The first stage of an album: a file is read, and what it holds is told from its bytes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pentimento::photo::{self, Metadata, Page, PageKind, Pages, Picture, ReadOptions, walled};
use pentimento::{Error, Result};

use super::fault::fault;
use super::inputs::Job;
use super::journal::Stamp;
use super::memory::reserve;

/// A file that was read.
pub struct Read {
    pub job: Job,
    pub stamp: Option<Stamp>,
    pub input: Result<Input>,
    pub seconds: f64,
}

/// What a file holds.
pub enum Input {
    One(Box<One>),
    /// They are decoded one at a time, when they are restored.
    Several(Pages),
}

/// A picture and the file that it was read from.
pub struct One {
    pub picture: Picture,
    pub metadata: Metadata,
    pub file: Arc<[u8]>,
    /// Whether the file holds others, which were not asked for.
    pub is_part: bool,
    /// What is unusual about the file.
    pub notes: Vec<String>,
}

/// Reads the file of `job`; only picture number `page`, from 1, where that is asked for.
pub fn read(job: Job, page: Option<usize>, options: &ReadOptions) -> Read {
    let start = Instant::now();
    let stamp = Stamp::of(&job.input);
    let input = walled(|| {
        fault("read", &job.input)?;
        opened(&job.input, page, options)
    });
    Read { job, stamp, input, seconds: start.elapsed().as_secs_f64() }
}

/// What is known of the file at `path`. A pipe would never end, some devices neither.
///
/// # Errors
/// [`Error::Io`] when there is nothing, or it is not a file.
pub fn plain_file(path: &Path) -> Result<fs::Metadata> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let there = fs::metadata(path).map_err(io)?;
    if !there.is_file() {
        return Err(io(std::io::Error::other("it is not a file")));
    }
    Ok(there)
}

fn opened(path: &Path, page: Option<usize>, options: &ReadOptions) -> Result<Input> {
    plain_file(path)?;
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let file = fs::read(path).map_err(io)?;
    reserve(path, pixels(&file))?;
    let mut pages = Pages::open(file, path, options)?;
    let index = page.unwrap_or(1) - 1;
    if index >= pages.len() {
        let (count, number) = (pages.len(), index + 1);
        let what = if pages.kind() == PageKind::Frame { "frame" } else { "page" };
        let s = if count == 1 { "" } else { "s" };
        let what = format!("the file holds {count} {what}{s}, --page asks for number {number}");
        return Err(Error::Image { path: path.to_owned(), what });
    }
    if page.is_none() && pages.is_several() {
        return Ok(Input::Several(pages));
    }
    pages.skip_to(index);
    let none = || Error::Internal("the file has fewer pages than it says".to_owned());
    let read = pages.next().ok_or_else(none).flatten();
    let read = read.map_err(|error| with_advice(error, &pages, index, options))?;
    let Page { picture, metadata, mut notes, .. } = read;
    let (file, is_part) = (pages.file(), pages.is_several());
    if is_part {
        notes.push(format!("of the {} pictures in the file, only this one was taken", pages.len()));
    }
    Ok(Input::One(Box::new(One { picture, metadata, file, is_part, notes })))
}

/// The error of picture `index` of a file, with how to keep what can be read of it.
pub fn with_advice(error: Error, pages: &Pages, index: usize, options: &ReadOptions) -> Error {
    match error {
        Error::Image { path, what } if !options.salvage && is_salvaged(pages, index, &path) => {
            Error::Image { path, what: format!("{what}; --salvage keeps what can be read of it") }
        }
        other => other,
    }
}

fn is_salvaged(pages: &Pages, index: usize, path: &Path) -> bool {
    Pages::open(pages.file(), path, &ReadOptions::salvaging()).is_ok_and(|mut pages| {
        pages.skip_to(index);
        pages.next().is_some_and(|page| page.is_ok())
    })
}

/// How many pixels the first picture has; 0 where the header does not say.
fn pixels(file: &[u8]) -> usize {
    let Some((width, height)) = photo::dimensions(file) else { return 0 };
    let pixels = width.saturating_mul(height);
    // More are refused by the decoder, which says it better.
    if pixels > photo::MAX_PIXELS { 0 } else { pixels }
}
