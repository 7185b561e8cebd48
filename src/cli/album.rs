//! Many pictures: read ahead, restored by every device, written behind.

use std::num::NonZero;
use std::panic::resume_unwind;
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

use super::compute::{Computed, Group, compute, read_of, together};
use super::crew::Seat;
use super::faces::Worker;
use super::fault::fault;
use super::inputs::{self, Job};
use super::journal::{Digest, Journal, Stamp};
use super::output::{shown, with_flags};
use super::queue::{Behind, Feed};
use super::read::{Read, read};
use super::report::{Done, PageDone, Work};
use super::stage::{Ended, Stage};
use super::target::{self, Place};

/// Threads that read, and as many that write, at most.
const THREADS: usize = 4;
/// Bytes of pictures that wait for a device, and as many that wait to be written, about:
/// pictures of an album resemble each other, so that the last one tells how many these are.
const WAITING: usize = 512 << 20;

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

struct Written {
    stamp: Option<Stamp>,
    done: Result<(Done, Digest)>,
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
    let &Context { journal, rules, bar, start } = context;
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
    let note = |job: &Job, ended: Ended<Written>| {
        let Written { stamp, done } = match ended {
            Ended::Done(written) => written,
            lost => Written { stamp: None, done: Err(lost_in("write", &job.output, &lost, rules)) },
        };
        bar.inc(1);
        match (done, stamp, &mut *journal.lock()) {
            (Ok((done, digest)), Some(stamp), Some(journal)) => {
                journal.note(job, stamp, digest, done.to_json()?)?;
                Ok(Ok(done))
            }
            (done, _, _) => Ok(done.map(|(done, _)| done)),
        }
    };
    let several = crew.len() > 1;
    let mut present: Vec<&mut Seat> =
        crew.iter_mut().filter(|seat| seat.share.lost.is_none()).collect();
    // Before the first picture nobody knows how large they are.
    let few = (2 * threads).max(present.len());
    let most = few.max(2 * present.iter().map(|seat| seat.worker.at_a_time()).sum::<usize>());
    let feed = Feed::new(jobs, reading, few);
    let behind = Mutex::new(Behind::new(writing, tell));
    let lock_behind = || behind.lock().unwrap_or_else(PoisonError::into_inner);
    let (alive, first) = (AtomicUsize::new(present.len()), OnceLock::new());
    // Devices other than the last one may leave.
    let may_leave =
        || alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n > 1).then(|| n - 1));
    let serve = |seat: &mut Seat| -> Result<Busy> {
        let mut busy = Busy::default();
        // How many the last picture lets wait, and so be at work at the same time.
        let mut ahead = few;
        while let Some(turn) = feed.next() {
            let mut turns = vec![turn];
            while turns.len() < seat.worker.at_a_time().min(ahead)
                && let Some(turn) = feed.more()
            {
                turns.push(turn);
            }
            let mut from = start.elapsed();
            let first = *first.get_or_init(|| from);
            let reads: Vec<Read> = turns.iter_mut().map(|turn| read_of(turn, rules)).collect();
            let (works, broke) = together(&mut seat.worker, reads, from, context);
            if broke {
                seat.replace(renew(&seat.engine)?);
            }
            // Whether its device has failed, after which only what is done is kept of these pictures.
            let (mut failed, mut leaves) = (false, false);
            for (turn, group) in turns.into_iter().zip(works) {
                if failed && !matches!(&group, Group::Done(done) if done.ready.is_ok()) {
                    turn.give_back();
                    continue;
                }
                let (mut computed, broke) = match group {
                    Group::Done(computed) => (*computed, false),
                    Group::Alone(read) => {
                        bar.set_message(shown(&read.job.input));
                        compute(&mut seat.worker, *read, start.elapsed(), context)
                    }
                };
                if is_stopped() && matches!(computed.ready, Err(Error::Cancelled)) {
                    return Ok(busy);
                }
                if broke {
                    // Nobody knows in what state the panic left it.
                    seat.replace(renew(&seat.engine)?);
                }
                if let Err(why) = &computed.ready
                    && seat.engine.has_failed(why)
                {
                    if may_leave().is_ok() {
                        seat.share.lost = Some(why.to_string());
                        (failed, leaves) = (true, true);
                    } else {
                        failed = seat.take_spare(&why.to_string(), &renew)?;
                    }
                    if failed {
                        turn.give_back();
                        continue;
                    }
                }
                let is_one_of_some = several || seat.before.is_some();
                computed.device = is_one_of_some.then(|| seat.share.device.clone());
                ahead = (WAITING / computed.bytes().max(1)).clamp(1, most);
                let now = start.elapsed();
                let working = now - from;
                from = now;
                busy = Busy { working: busy.working + working, whole: now - first };
                seat.share.pictures += 1;
                seat.share.working += working.as_secs_f64();
                let mut behind = lock_behind();
                behind.push(turn.index, turn.job.clone(), computed);
                behind.shrink(ahead, note)?;
            }
            seat.count();
            if leaves {
                return Ok(busy);
            }
            feed.read_ahead(ahead);
        }
        Ok(busy)
    };
    let serve = |seat: &mut Seat| {
        let busy = serve(seat);
        if busy.is_err() {
            feed.end();
        }
        busy
    };
    let busy: Vec<Result<Busy>> = match &mut present[..] {
        [only] => vec![serve(only)],
        all => thread::scope(|scope| {
            let threads: Vec<_> = (all.iter_mut())
                .map(|seat| thread::Builder::new().spawn_scoped(scope, || serve(seat)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Result<Busy>>| {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            let ended = |thread: std::io::Result<_>| {
                thread.map_err(super::several::no_thread).and_then(join)
            };
            threads.into_iter().map(ended).collect()
        }),
    };
    let mut behind = behind.into_inner().unwrap_or_else(PoisonError::into_inner);
    behind.shrink(0, note)?;
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
