//! Several pictures → one file.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::channels::without_colour;
use super::super::encode::{self, Encoding};
use super::super::{Format, Metadata, Picture, tiff_tags, xmp};
use super::notes::PageNotes;
use super::{PageKind, gif, png, tiff, webp};
use crate::{Error, Result};

/// Writes the pages of a document, or the frames of an animation, one after the other: pages to
/// TIFF, frames to GIF, PNG or WebP.
///
/// ```no_run
/// use pentimento::photo::{Encoding, Pages, PagesWriter, ReadOptions};
///
/// let (from, to) = ("scans.tif".as_ref(), "copy.tif".as_ref());
/// let pages = Pages::read(from, &ReadOptions::default())?;
/// let (kind, count, plays) = (pages.kind(), pages.len(), pages.plays());
/// let file = std::fs::File::create(to).unwrap();
/// let mut writer = PagesWriter::new(file, to, kind, count, plays, Encoding::default())?;
/// for page in pages {
///     let page = page?;
///     writer.write(&page.picture, &page.metadata, page.delay)?;
/// }
/// writer.finish()?;
/// # Ok::<(), pentimento::Error>(())
/// ```
pub struct PagesWriter<W: Write + Seek> {
    /// Until the first picture tells the size.
    to: Option<W>,
    form: Option<Form<W>>,
    path: PathBuf,
    format: Format,
    kind: PageKind,
    count: usize,
    plays: u32,
    encoding: Encoding,
    written: usize,
    notes: PageNotes,
}

enum Form<W: Write + Seek> {
    Tiff(tiff::Writer<W>),
    Gif(gif::Writer<W>),
    Png(png::Writer<W>),
    WebP(webp::Writer<W>),
}

impl<W: Write + Seek> PagesWriter<W> {
    /// A file at `path`, whose extension says the format, with `count` pictures that are shown
    /// `plays` times; 0: for ever. The bytes go to `to`.
    ///
    /// # Errors
    /// [`Error::Image`] when the format holds no pages, or no frames.
    pub fn new(
        to: W,
        path: &Path,
        kind: PageKind,
        count: usize,
        plays: u32,
        encoding: Encoding,
    ) -> Result<Self> {
        let format = format_for(kind, count, path)?;
        let (to, form, written, notes) = (Some(to), None, 0, PageNotes::default());
        let path = path.to_owned();
        Ok(Self { to, form, path, format, kind, count, plays, encoding, written, notes })
    }

    /// Appends a picture. Of the frames of an animation, the first one's metadata count.
    ///
    /// # Errors
    /// [`Error::Image`] when the picture is too large for the format, has another size than the
    /// frames before, or cannot be written.
    pub fn write(
        &mut self,
        picture: &Picture,
        metadata: &Metadata,
        delay: Option<Duration>,
    ) -> Result<()> {
        self.format.check_size(&self.path, picture.height, picture.width)?;
        let index = self.written;
        let plain = Metadata { gray: metadata.gray, ..Metadata::default() };
        let metadata = if self.kind == PageKind::Frame && index > 0 { &plain } else { metadata };
        let little = metadata.exif.as_ref().filter(|exif| exif.starts_with(b"MM"));
        let turned = little.filter(|_| self.format == Format::Tiff).map(|exif| {
            let exif = tiff_tags::exif(exif, None);
            Metadata { exif, ..metadata.clone() }
        });
        let metadata = turned.as_ref().unwrap_or(metadata);
        // What is not pixels is taken from a file of the frame alone.
        let alone = if index == 0 || matches!(self.format, Format::Tiff | Format::WebP) {
            let encoded = encode::encode_with(picture, metadata, &self.path, &self.encoding)?;
            for note in encoded.notes {
                self.notes.add(if self.kind == PageKind::Frame { 0 } else { index }, note);
            }
            encoded.bytes
        } else {
            Vec::new()
        };
        let gray = Some(picture)
            .filter(|_| metadata.gray && matches!(self.format, Format::Gif | Format::Png));
        let gray =
            gray.map(|picture| Picture { rgb: without_colour(&picture.rgb), ..picture.clone() });
        let picture = gray.as_ref().unwrap_or(picture);
        if self.format == Format::Gif {
            gif::losses(picture).into_iter().for_each(|note| self.notes.add(index, note));
        }
        self.append(picture, metadata, alone, delay).map_err(|what| self.failed(what))?;
        self.written += 1;
        Ok(())
    }

    fn append(
        &mut self,
        picture: &Picture,
        metadata: &Metadata,
        alone: Vec<u8>,
        delay: Option<Duration>,
    ) -> std::result::Result<(), String> {
        let size = [picture.height, picture.width];
        let count = u32::try_from(self.count).map_err(|e| e.to_string())?;
        if let Some(to) = self.to.take() {
            self.form = Some(match self.format {
                Format::Gif => {
                    let mut kept = metadata.kept.clone();
                    kept.xmp = kept.xmp.map(xmp::of_result);
                    Form::Gif(gif::Writer::new(to, size, self.plays, &kept)?)
                }
                Format::Png => Form::Png(png::Writer::new(to, size, [count, self.plays], &alone)?),
                Format::WebP => Form::WebP(webp::Writer::new(to, size, self.plays, &alone)?),
                _ => Form::Tiff(tiff::Writer::new(to, self.count)?),
            });
        }
        match &mut self.form {
            Some(Form::Tiff(writer)) => writer.write(alone),
            Some(Form::Gif(writer)) => writer.write(picture, delay),
            Some(Form::Png(writer)) => writer.write(picture, delay),
            Some(Form::WebP(writer)) => writer.write(picture, &alone, delay),
            None => Err("an earlier picture could not be written".to_owned()),
        }
    }

    /// Ends the file, and tells what of the pictures the format does not hold, a sentence each.
    ///
    /// # Errors
    /// [`Error::Image`] when it cannot be written, or pictures are missing.
    pub fn finish(mut self) -> Result<Vec<String>> {
        if self.written != self.count {
            let what = format!("{} of {} pictures were written", self.written, self.count);
            return Err(self.failed(what));
        }
        let ended = match self.form.take() {
            Some(Form::Tiff(writer)) => writer.finish(),
            Some(Form::Gif(writer)) => {
                writer.finish().and_then(|mut to| to.flush().map_err(|e| e.to_string()))
            }
            Some(Form::Png(writer)) => writer.finish(),
            Some(Form::WebP(writer)) => writer.finish(),
            None => Err("it has no pictures".to_owned()),
        };
        ended.map_err(|what| self.failed(what))?;
        Ok(self.notes.sentences(self.kind, self.count))
    }

    fn failed(&self, what: String) -> Error {
        let what = format!("the pictures cannot be written: {what}");
        Error::Image { path: self.path.clone(), what }
    }
}

/// The format that several pictures of this kind get in a file at `path`.
///
/// # Errors
/// [`Error::Image`] when the extension means none, or one that does not hold them.
pub(super) fn format_for(kind: PageKind, count: usize, path: &Path) -> Result<Format> {
    let format = Format::of(path)?;
    let (holds, what, names) = match kind {
        PageKind::Frame => {
            let holds = matches!(format, Format::Gif | Format::Png | Format::WebP);
            (holds, "frames", ".gif, .png or .webp")
        }
        _ => (format == Format::Tiff, "pages", ".tif"),
    };
    if holds {
        return Ok(format);
    }
    Err(Error::Image {
        path: path.to_owned(),
        what: format!(
            "the input holds {count} {what}, and {} would keep one of them; name the result \
             {names}, or choose one page",
            format.name()
        ),
    })
}
