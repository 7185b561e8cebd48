//! Many pictures: read ahead, restored by every device, written behind.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use pentimento::photo::{
    self, Encoding, Metadata, PageKind, Picture, ReadOptions, Unfinished, walled,
};
use pentimento::{Engine, Error, Result};

use super::compute::Computed;
use super::crew::Seat;
use super::faces::Worker;
use super::fault::fault;
use super::inputs::{self, Job};
use super::journal::{Digest, Journal, Stamp};
use super::output::with_flags;
use super::queue::{Behind, Feed};
use super::read::read;
use super::report::{Done, PageDone, Work};
use super::service::{Service, noted};
use super::stage::{Ended, Stage};
use super::target::{self, Place};

/// Threads that read, and as many that write, at most.
const THREADS: usize = 4;

/// How often the user has asked to stop.
static STOPS: AtomicUsize = AtomicUsize::new(0);

/// From now on Ctrl-C, or the signal to terminate, ends the work after the current pictures; a
/// second one ends the program.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn stop_gently() -> Result<()> {
    let set = ctrlc::set_handler(|| {
        if STOPS.fetch_add(1, Ordering::Relaxed) > 0 {
            std::process::exit(INTERRUPTED.into());
        }
        eprintln!("finishing what was begun; press Ctrl-C again to stop at once");
    });
    let refused = |error: ctrlc::Error| Error::Io {
        action: "listen for",
        path: "Ctrl-C".into(),
        source: std::io::Error::other(error),
    };
    set.map_err(refused)
}

/// Whether the user has asked to stop.
pub fn is_stopped() -> bool {
    STOPS.load(Ordering::Relaxed) > 0
}

/// The exit code of a run that the user has stopped: that of a program that SIGINT ends.
pub const INTERRUPTED: u8 = 130;

/// How the devices spent the time, on average.
#[derive(Clone, Copy, Default, Debug)]
pub struct Busy {
    /// While it had a picture.
    pub working: Duration,
    /// From its first picture to its last.
    pub whole: Duration,
}

/// What holds for all pictures of a run.
#[derive(Clone)]
pub struct Rules {
    /// Replaces files that are not results, too.
    pub force: bool,
    /// How long a picture may take to be read, and to be written.
    pub patience: Duration,
    pub encoding: Encoding,
    pub reading: ReadOptions,
    /// Of a file of several pictures only this one, from 1.
    pub page: Option<usize>,
}

impl Rules {
    /// Whether results are coded anew even where nothing is changed.
    pub fn has_quality(&self) -> bool {
        self.encoding.quality.is_some()
    }
}

/// The journal of the results' folder, where there is one, for all threads.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Option<Journal>>>);

impl Shared {
    pub fn new(journal: Option<Journal>) -> Self {
        Self(Arc::new(Mutex::new(journal)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Option<Journal>> {
        // A line is appended whole or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all pictures of a run share.
pub struct Context<'a> {
    pub journal: &'a Shared,
    pub rules: &'a Rules,
    pub bar: &'a ProgressBar,
    /// When the run began.
    pub start: Instant,
}

/// A result without its name.
pub struct Ready {
    pub work: Work,
    pub faces: Option<Vec<photo::Outcome>>,
    /// Of a file of several pictures.
    pub pages: Vec<PageDone>,
    pub kind: PageKind,
    pub input_size: [usize; 2],
    pub output_size: [usize; 2],
    pub content: Content,
}

/// The file of a result.
pub enum Content {
    /// That of the input, since nothing was changed.
    Copy(Arc<[u8]>),
    Picture(Picture, Box<Metadata>),
    /// It is written already.
    File(Unfinished),
}

/// What became of a result, with what the journal notes of it.
pub struct Written {
    pub stamp: Option<Stamp>,
    pub done: Result<(Done, Digest)>,
}

/// Restores `jobs` on all devices of `crew` that are not lost; after a panic with the worker that
/// `renew` makes for the same device. `tell` gets every picture in order, with what became of it,
/// after it was written and noted in the journal. Ends early when the user stops it.
///
/// A device that is lost, or fails, leaves its picture to the others, and the last one to its spare.
/// Without a spare it keeps its errors.
///
/// At most a few pictures are held at a time: reading waits for the devices, and those for writing.
///
/// # Errors
/// When the journal cannot be written, or no worker can be made after a panic; what concerns a
/// picture goes to `tell`.
pub fn run(
    crew: &mut [Seat],
    renew: impl Fn(&Engine) -> Result<Worker> + Sync,
    jobs: Vec<Job>,
    context: &Context<'_>,
    tell: impl FnMut(PathBuf, Result<Done>) + Send,
) -> Result<Busy> {
    let Context { journal, rules, .. } = *context;
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let reading = {
        let (page, options) = (rules.page, rules.reading.clone());
        Stage::new(threads, rules.patience, move |job| read(job, page, &options))
    };
    let writing = {
        let (journal, rules) = (journal.clone(), rules.clone());
        Stage::new(threads, rules.patience, move |(job, computed)| {
            write(&job, computed, &journal, &rules)
        })
    };
    let several = crew.len() > 1;
    let mut present: Vec<&mut Seat> =
        crew.iter_mut().filter(|seat| seat.share.lost.is_none()).collect();
    // Before the first picture nobody knows how large they are.
    let few = (2 * threads).max(present.len());
    let at_a_time: usize = present.iter().map(|seat| seat.worker.at_a_time()).sum();
    let service = Service {
        context,
        renew,
        feed: Feed::new(jobs, reading, few),
        behind: Mutex::new(Behind::new(writing, tell)),
        alive: AtomicUsize::new(present.len()),
        first: OnceLock::new(),
        few,
        most: few.max(2 * at_a_time),
        several,
    };
    let busy = service.on_all(&mut present);
    let mut behind = service.behind.into_inner().unwrap_or_else(PoisonError::into_inner);
    behind.shrink(0, |job, ended| noted(job, ended, context))?;
    behind.finish();
    let count = u32::try_from(busy.len()).unwrap_or(u32::MAX).max(1);
    busy.into_iter().try_fold(Busy::default(), |all, busy| {
        let Busy { working, whole } = busy?;
        Ok(Busy { working: all.working + working / count, whole: all.whole.max(whole) })
    })
}

/// The error of a picture whose thread gave no result.
pub fn lost_in<T>(action: &'static str, path: &Path, ended: &Ended<T>, rules: &Rules) -> Error {
    let what = match ended {
        Ended::Hung => format!(
            "it took longer than {} s; allow more with --patience",
            rules.patience.as_secs()
        ),
        Ended::NoThread => {
            "the system has no thread left for it; end other programs, or allow more processes"
                .to_owned()
        }
        _ => "the thread that did it has ended; please report it".to_owned(),
    };
    Error::Io { action, path: path.to_owned(), source: std::io::Error::other(what) }
}

/// The notes of a result that is a copy of its input: nothing was left out of it.
pub fn copied(notes: &mut Vec<String>) {
    notes.retain(|note| !["left out", "16 bits became"].iter().any(|loss| note.contains(loss)));
    notes.push("nothing was changed; the file was copied".to_owned());
}

fn write(job: &Job, computed: Computed, journal: &Shared, rules: &Rules) -> Written {
    let start = Instant::now();
    let Computed { stamp, ready, device, mut seconds } = computed;
    let done = ready.and_then(|ready| {
        walled(|| {
            fault("write", &job.input)?;
            let Ready { mut work, faces, pages, kind, input_size, output_size, content } = ready;
            let folder = job.output.parent().filter(|folder| !folder.as_os_str().is_empty());
            folder.map_or(Ok(()), inputs::create_folder)?;
            let copied = matches!(content, Content::Copy(_));
            let (place, digest) = match content {
                Content::Copy(file) => written(&file, job, journal, rules)?,
                Content::Picture(picture, metadata) => {
                    let encoded =
                        photo::encode_with(&picture, &metadata, &job.output, &rules.encoding)?;
                    work.notes.extend(encoded.notes.iter().map(|note| with_flags(note)));
                    written(&encoded.bytes, job, journal, rules)?
                }
                Content::File(mut file) => {
                    let io =
                        |source| Error::Io { action: "write", path: job.output.clone(), source };
                    let digest = Digest::of_file(file.file()).map_err(io)?;
                    let place = announced(job, &digest, journal, rules)?;
                    place.finish(file)?;
                    (place, digest)
                }
            };
            work.notes.extend(place.note());
            seconds.write = start.elapsed().as_secs_f64();
            let output = job.output.clone();
            let done = Done {
                output,
                device,
                input_size,
                output_size,
                copied,
                work,
                faces,
                pages,
                kind,
                seconds,
            };
            Ok((done, digest))
        })
    });
    Written { stamp, done }
}

/// Writes the result of `job`, which the journal knows before it is there.
fn written(bytes: &[u8], job: &Job, journal: &Shared, rules: &Rules) -> Result<(Place, Digest)> {
    let digest = Digest::of(bytes);
    let place = announced(job, &digest, journal, rules)?;
    place.write(bytes, &job.output)?;
    Ok((place, digest))
}

/// Tells the journal of a result that will be written, where it may be.
fn announced(job: &Job, digest: &Digest, journal: &Shared, rules: &Rules) -> Result<Place> {
    let mut journal = journal.lock();
    let place = target::check(&job.output, journal.as_ref(), rules.force)?;
    if let Some(journal) = &mut *journal {
        journal.begin(&job.output, digest)?;
    }
    Ok(place)
}
