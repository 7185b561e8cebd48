//! A file of several pictures: every page, or frame, is restored and written, one at a time.

use std::io::BufWriter;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use pentimento::photo::{
    Format, Metadata, Page, PageKind, PageNotes, Pages, PagesWriter, Picture, Unfinished, walled,
};
use pentimento::{Error, Result};

use super::album::{self, Content, Context, Ready};
use super::faces::{Finished, Worker};
use super::fault::fault;
use super::inputs::{self, Job};
use super::memory::reserve;
use super::output::{shown, with_flags};
use super::read::with_advice;
use super::report::{PageDone, Work};
use super::stage::{Ended, Stage};
use super::target;

/// A page on its way to the file.
type Restored = (Picture, Metadata, Option<Duration>);

/// What the pages became so far.
struct Done {
    pages: Vec<PageDone>,
    notes: PageNotes,
    /// Whether no page was changed.
    same: bool,
}

/// Restores all of `pages` to a file that has no name yet. The faces in an animation are followed
/// from frame to frame, as those of a film.
///
/// # Errors
/// Those of the first page that cannot be read, restored or written; [`Error::Image`] when the
/// format of the output holds one picture only; [`Error::Cancelled`] when the user stops the run.
pub fn restore(
    worker: &mut Worker,
    pages: Pages,
    job: &Job,
    context: &Context<'_>,
) -> Result<Ready> {
    let rules = context.rules;
    let (kind, count, plays) = (pages.kind(), pages.len(), pages.plays());
    let (file, format) = (pages.file(), pages.format_for(&job.output)?);
    check_sizes(worker, &pages, job, format)?;
    target::check(&job.output, context.journal.lock().as_ref(), rules.force)?;
    let folder = job.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), inputs::create_folder)?;
    let mut unfinished = Unfinished::new(&job.output)?;
    let io = |source| Error::Io { action: "write", path: job.output.clone(), source };
    let to = BufWriter::new(unfinished.file().try_clone().map_err(io)?);
    let mut writer = PagesWriter::new(to, &job.output, kind, count, plays, rules.encoding.clone())?;
    let film = worker.begin(kind);
    let restored = thread::scope(|scope| {
        // One waits while another is written.
        let (results, waiting) = sync_channel::<Restored>(1);
        let writing = thread::Builder::new().spawn_scoped(scope, move || {
            walled(move || {
                for (picture, metadata, delay) in waiting {
                    writer.write(&picture, &metadata, delay)?;
                }
                writer.finish()
            })
        });
        let writing = writing.map_err(no_thread)?;
        let computed = each(worker, pages, job, context, &results);
        drop(results);
        let written = writing.join().unwrap_or_else(|_| {
            Err(Error::Internal("the thread that writes pages broke down".to_owned()))
        });
        Ok::<_, Error>((computed?, written?))
    });
    worker.end(film);
    let (Done { pages, notes, same }, losses) = restored?;
    let mut notes = notes.sentences(kind, count);
    let content = if same && Format::of_bytes(&file) == Some(format) && !rules.has_quality() {
        album::copied(&mut notes);
        Content::Copy(file)
    } else {
        notes.extend(losses.iter().map(|note| with_flags(note)));
        Content::File(unfinished)
    };
    let size = |of: fn(&PageDone) -> [usize; 2]| pages.first().map_or([0, 0], of);
    let (input_size, output_size) = (size(|page| page.input_size), size(|page| page.output_size));
    let work = Work { tiles: None, notes };
    Ok(Ready { work, faces: None, pages, kind, input_size, output_size, content })
}

/// The error of work for which the system has no thread left.
pub fn no_thread(source: std::io::Error) -> Error {
    Error::Io { action: "start", path: "a thread".into(), source }
}

/// Restores each page, and passes it on to be written.
fn each(
    worker: &mut Worker,
    pages: Pages,
    job: &Job,
    context: &Context<'_>,
    results: &SyncSender<Restored>,
) -> Result<Done> {
    let (rules, count, kind) = (context.rules, pages.len(), pages.kind());
    let name = if kind == PageKind::Frame { "frame" } else { "page" };
    let mut done = Done { pages: Vec::new(), notes: PageNotes::default(), same: true };
    // The next page is read while this one is restored.
    let mut reading = Stage::new(1, rules.patience, |mut pages: Pages| {
        let page = pages.next();
        (pages, page)
    });
    reading.push(pages);
    for index in 0..count {
        if album::is_stopped() {
            return Err(Error::Cancelled);
        }
        context.bar.set_message(format!("{}: {name} {} of {count}", shown(&job.input), index + 1));
        let (pages, page) = match reading.pop() {
            Some(Ended::Done(read)) => read,
            Some(lost) => return Err(album::lost_in("read", &job.input, &lost, rules)),
            None => return Err(Error::Internal("no page is read".to_owned())),
        };
        let fewer = || Error::Internal("the file has fewer pages than it says".to_owned());
        let page = page.ok_or_else(fewer)?;
        let page = page.map_err(|error| with_advice(error, &pages, index, &rules.reading))?;
        if index + 1 < count {
            reading.push(pages);
        }
        let Page { picture, metadata, notes, delay, .. } = page;
        let [height, width] = worker.output_size(picture.height, picture.width)?;
        reserve(&job.input, height.saturating_mul(width))?;
        let Finished { picture: restored, mut work, faces } = walled(|| {
            fault("restore", &job.input)?;
            worker.restore(&job.input, index, &picture)
        })?;
        // What was turned upright is written so, and what was salvaged is written whole.
        let salvaged = rules.reading.salvage && !notes.is_empty();
        done.same &= restored == picture && !metadata.kept.turned && !salvaged;
        work.notes.extend(notes);
        work.notes.iter().for_each(|note| done.notes.add(index, note.clone()));
        let input_size = [picture.height, picture.width];
        let output_size = [restored.height, restored.width];
        done.pages.push(PageDone { input_size, output_size, work, faces });
        if results.send((restored, metadata, delay)).is_err() {
            // The writer says why it has ended.
            break;
        }
    }
    Ok(done)
}

/// Says before the work that the results are too large for the format.
fn check_sizes(worker: &Worker, pages: &Pages, job: &Job, format: Format) -> Result<()> {
    /// What a TIFF holds, and what a page takes in it besides pixels, about.
    const MOST: usize = u32::MAX as usize;
    const BESIDES: usize = 1 << 12;
    let mut bytes = 0_usize;
    let sized = if pages.kind() == PageKind::Frame { 1 } else { pages.len() };
    for [height, width] in (0..sized).filter_map(|index| pages.size(index)) {
        let [height, width] = worker.output_size(height, width)?;
        format.check_size(&job.output, height, width)?;
        bytes = bytes.saturating_add(height.saturating_mul(width).saturating_mul(3) + BESIDES);
    }
    if format == Format::Tiff && bytes > MOST {
        let what = format!(
            "its {} pages would take {} GB, and a TIFF holds 4; restore some of them at a time with \
             --page",
            pages.len(),
            bytes / 1_000_000_000
        );
        return Err(Error::Image { path: job.output.clone(), what });
    }
    Ok(())
}
