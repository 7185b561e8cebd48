//! The second stage of an album: pictures that were read are restored, one by one or several together.

use std::time::{Duration, Instant};

use pentimento::photo::{Format, PageKind, walled};
use pentimento::{Error, Result};

use super::album::{Content, Context, Ready, Rules, copied, lost_in};
use super::faces::{Finished, Worker};
use super::fault::fault;
use super::inputs::Job;
use super::journal::Stamp;
use super::memory::reserve;
use super::queue::Turn;
use super::read::{Input, One, Read};
use super::report::Seconds;
use super::stage::Ended;
use super::{several, target};

/// A picture that was restored, or why it was not.
pub struct Computed {
    pub stamp: Option<Stamp>,
    pub ready: Result<Ready>,
    /// What computed it, where there are several.
    pub device: Option<String>,
    pub seconds: Seconds,
}

/// What became of one of several pictures that a worker was given.
pub enum Group {
    /// It was restored with the others, or its device has failed.
    Done(Box<Computed>),
    /// It is to be restored alone: it is not for several at a time, or failed among them.
    Alone(Box<Read>),
}

impl Computed {
    /// What the pixels of the input or the result take, whichever is more; nothing without any.
    pub fn bytes(&self) -> usize {
        let Ok(Ready { input_size: [height, width], content, .. }) = &self.ready else { return 0 };
        match content {
            Content::Copy(file) => 3 * height * width + file.len(),
            Content::Picture(picture, metadata) => {
                let deep = if metadata.deep.is_some() { 3 } else { 1 };
                picture.rgb.len().max(3 * height * width) * deep
            }
            Content::File(_) => 0,
        }
    }
}

/// What was read of a picture that a device has.
pub fn read_of(turn: &mut Turn<'_, Read>, rules: &Rules) -> Read {
    match turn.read.take() {
        Some(Ended::Done(read)) => read,
        lost => {
            let ended = lost.unwrap_or(Ended::Broke);
            let input = Err(lost_in("read", &turn.job.input, &ended, rules));
            Read { job: turn.job.clone(), stamp: None, input, seconds: 0.0 }
        }
    }
}

/// Restores a picture. Also whether the worker panicked.
pub fn compute(
    worker: &mut Worker,
    read: Read,
    begin: Duration,
    context: &Context<'_>,
) -> (Computed, bool) {
    let start = Instant::now();
    let Read { job, stamp, input, seconds } = read;
    let ready = input.and_then(|input| match input {
        Input::One(one) => restored(worker, *one, &job, context),
        Input::Several(pages) => several::restore(worker, pages, &job, context),
    });
    let broke = matches!(ready, Err(Error::Internal(_)));
    let (began, restore) = (begin.as_secs_f64(), start.elapsed().as_secs_f64());
    let seconds = Seconds { began, read: seconds, restore, write: 0.0 };
    (Computed { stamp, ready, device: None, seconds }, broke)
}

/// Restores those of `reads` together that are photos of one picture. What fails is to be done again
/// alone. Also whether the worker panicked, after which all are.
pub fn together(
    worker: &mut Worker,
    reads: Vec<Read>,
    begin: Duration,
    context: &Context<'_>,
) -> (Vec<Group>, bool) {
    let alone = |read| Group::Alone(Box::new(read));
    if reads.len() < 2 {
        return (reads.into_iter().map(alone).collect(), false);
    }
    context.bar.set_message(format!("{} pictures", reads.len()));
    let start = Instant::now();
    let fits = |read: &Read| match &read.input {
        Ok(Input::One(one)) => checked(worker, one, &read.job, context).is_ok(),
        _ => false,
    };
    let fit: Vec<bool> = reads.iter().map(fits).collect();
    let index = context.rules.page.map_or(0, |page| page - 1);
    let photos: Vec<_> = reads
        .iter()
        .zip(&fit)
        .filter(|(_, fits)| **fits)
        .filter_map(|(read, _)| match &read.input {
            Ok(Input::One(one)) => Some((read.job.input.as_path(), index, &one.picture)),
            _ => None,
        })
        .collect();
    let ended = walled(|| {
        let faulty: Vec<_> = photos.iter().map(|(input, ..)| fault("restore", input)).collect();
        let sound = photos.iter().zip(&faulty).filter(|(_, faulty)| faulty.is_ok());
        let sound: Vec<_> = sound.map(|(photo, _)| *photo).collect();
        let mut restored = worker.restore_all(&sound).into_iter();
        let missing = || Error::Internal("a photo has no result".to_owned());
        let each = faulty
            .into_iter()
            .map(|faulty| faulty.and_then(|()| restored.next().unwrap_or_else(|| Err(missing()))));
        Ok(each.collect::<Vec<_>>())
    });
    let broke = ended.is_err();
    let count = fit.iter().filter(|fits| **fits).count().max(1) as f64;
    let (began, restore) = (begin.as_secs_f64(), start.elapsed().as_secs_f64() / count);
    let mut ended = ended.unwrap_or_default().into_iter();
    let mut groups = Vec::new();
    for (mut read, fits) in reads.into_iter().zip(fit) {
        let result = if fits { ended.next() } else { None };
        let ready = match (result, read.input) {
            (Some(Ok(finished)), Ok(Input::One(one))) => finish(*one, finished, &read.job, context),
            (Some(Err(why @ (Error::DeviceLost(_) | Error::Device(_) | Error::Cancelled))), _) => {
                Err(why)
            }
            (_, input) => {
                read.input = input;
                groups.push(alone(read));
                continue;
            }
        };
        let seconds = Seconds { began, read: read.seconds, restore, write: 0.0 };
        let computed = Computed { stamp: read.stamp, ready, device: None, seconds };
        groups.push(Group::Done(Box::new(computed)));
    }
    (groups, broke)
}

/// Restores the only picture of a file, or the only one that is asked for.
fn restored(worker: &mut Worker, one: One, job: &Job, context: &Context<'_>) -> Result<Ready> {
    checked(worker, &one, job, context)?;
    let index = context.rules.page.map_or(0, |page| page - 1);
    let finished = walled(|| {
        fault("restore", &job.input)?;
        worker.restore(&job.input, index, &one.picture)
    })?;
    finish(one, finished, job, context)
}

/// # Errors
/// When the result has no room, in memory or in its format, or must not be written there.
fn checked(worker: &Worker, one: &One, job: &Job, context: &Context<'_>) -> Result<()> {
    let One { picture, .. } = one;
    let [height, width] = worker.output_size(picture.height, picture.width)?;
    Format::of(&job.output)?.check_size(&job.output, height, width)?;
    target::check(&job.output, context.journal.lock().as_ref(), context.rules.force)?;
    reserve(&job.input, height.saturating_mul(width))
}

/// What is written of a picture that was restored.
fn finish(one: One, finished: Finished, job: &Job, context: &Context<'_>) -> Result<Ready> {
    let One { picture, metadata, file, is_part, notes } = one;
    let Finished { picture: result, mut work, faces } = finished;
    let (rules, format) = (context.rules, Format::of(&job.output)?);
    // What was turned upright is written so, and what was salvaged is written whole.
    let salvaged = rules.reading.salvage && !notes.is_empty();
    work.notes.extend(notes);
    let same = result == picture
        && Format::of_bytes(&file) == Some(format)
        && !metadata.kept.turned
        && !salvaged
        && !is_part;
    let input_size = [picture.height, picture.width];
    let output_size = [result.height, result.width];
    let content = if same && !rules.has_quality() {
        copied(&mut work.notes);
        Content::Copy(file)
    } else {
        Content::Picture(result, Box::new(metadata))
    };
    let (kind, pages) = (PageKind::Single, Vec::new());
    Ok(Ready { work, faces, pages, kind, input_size, output_size, content })
}
