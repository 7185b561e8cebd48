//! Many pictures, one after the other: read ahead, restored, written behind.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use pentimento::photo::{self, Format, Metadata, Picture};
use pentimento::{Error, Result};

use super::faces::{Finished, Worker};
use super::inputs::{self, Job};
use super::journal::{Journal, Stamp};
use super::report::{Done, Seconds};
use super::stage::Stage;

/// Threads that read, and as many that write, at most.
const THREADS: usize = 4;
/// Bytes of pictures that wait for the executor, and as many that wait to be written, about:
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
        eprintln!("finishing the current pictures; press Ctrl-C again to stop at once");
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

/// How the executor spent the time.
#[derive(Clone, Copy, Default, Debug)]
pub struct Busy {
    /// While it had a picture.
    pub working: Duration,
    /// From its first picture to its last.
    pub whole: Duration,
}

struct Read {
    job: Job,
    stamp: Option<Stamp>,
    picture: Result<(Picture, Metadata)>,
    seconds: f64,
}

struct Computed {
    job: Job,
    stamp: Option<Stamp>,
    input_size: [usize; 2],
    finished: Result<(Finished, Metadata)>,
    seconds: Seconds,
}

/// Restores `jobs` with `worker`. `tell` gets every picture in order, with what became of it, after
/// it was written and noted in `journal`. Times count from `start`. Ends early when the user stops it.
///
/// At most a few pictures are held at a time: reading waits for the executor, and that for writing.
///
/// # Errors
/// When the journal cannot be written; what concerns a picture goes to `tell`.
pub fn run(
    worker: &mut Worker,
    jobs: Vec<Job>,
    mut journal: Option<&mut Journal>,
    bar: &ProgressBar,
    start: Instant,
    mut tell: impl FnMut(PathBuf, Result<Done>),
) -> Result<Busy> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let most = 2 * threads;
    let mut ahead = most;
    thread::scope(|scope| {
        let mut reading = Stage::new(scope, threads, read);
        let mut writing = Stage::new(scope, threads, write);
        let mut jobs = jobs.into_iter();
        let mut busy = Busy::default();
        let mut first = None;
        let mut take = |(job, stamp, result): (Job, Option<Stamp>, Result<Done>)| {
            if let (Some(journal), Some(stamp), Ok(done)) = (&mut journal, stamp, &result) {
                journal.note(&job, stamp, done.to_json()?)?;
            }
            tell(job.input, result);
            bar.inc(1);
            Ok::<(), Error>(())
        };
        loop {
            while reading.len() < ahead && !is_stopped() {
                let Some(job) = jobs.next() else { break };
                reading.push(job);
            }
            if is_stopped() {
                break;
            }
            let Some(read) = reading.pop() else { break };
            bar.set_message(read.job.input.display().to_string());
            let begin = start.elapsed();
            first.get_or_insert(begin);
            let computed = compute(worker, read, begin);
            ahead = (WAITING / computed.bytes().max(1)).clamp(1, most);
            busy.working += start.elapsed() - begin;
            busy.whole = start.elapsed() - first.unwrap_or(begin);
            writing.push(computed);
            while writing.len() > ahead
                && let Some(written) = writing.pop()
            {
                take(written)?;
            }
        }
        while let Some(written) = writing.pop() {
            take(written)?;
        }
        Ok(busy)
    })
}

impl Computed {
    /// What the pixels of the input or the result take, whichever is more; nothing without any.
    fn bytes(&self) -> usize {
        let [height, width] = self.input_size;
        self.finished.as_ref().map_or(0, |(Finished { picture, .. }, metadata)| {
            let deep = if metadata.deep.is_some() { 3 } else { 1 };
            picture.rgb.len().max(3 * height * width) * deep
        })
    }
}

fn read(job: Job) -> Read {
    let start = Instant::now();
    let stamp = Stamp::of(&job.input);
    let picture = photo::read_with_metadata(&job.input);
    Read { job, stamp, picture, seconds: start.elapsed().as_secs_f64() }
}

fn compute(worker: &mut Worker, read: Read, begin: Duration) -> Computed {
    let start = Instant::now();
    let Read { job, stamp, picture, seconds } = read;
    let mut input_size = [0, 0];
    let finished = picture.and_then(|(picture, metadata)| {
        input_size = [picture.height, picture.width];
        let [height, width] = worker.output_size(picture.height, picture.width)?;
        Format::of(&job.output)?.check_size(&job.output, height, width)?;
        Ok((worker.restore(&job.input, &picture)?, metadata))
    });
    let (began, restore) = (begin.as_secs_f64(), start.elapsed().as_secs_f64());
    let seconds = Seconds { began, read: seconds, restore, write: 0.0 };
    Computed { job, stamp, input_size, finished, seconds }
}

fn write(computed: Computed) -> (Job, Option<Stamp>, Result<Done>) {
    let start = Instant::now();
    let Computed { job, stamp, input_size, finished, mut seconds } = computed;
    let done = finished.and_then(|(Finished { picture, work, faces }, metadata)| {
        if let Some(folder) = job.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            inputs::create_folder(folder)?;
        }
        photo::write_whole(&photo::encode(&picture, &metadata, &job.output)?, &job.output)?;
        seconds.write = start.elapsed().as_secs_f64();
        let (output, output_size) = (job.output.clone(), [picture.height, picture.width]);
        Ok(Done { output, input_size, output_size, work, faces, seconds })
    });
    (job, stamp, done)
}
