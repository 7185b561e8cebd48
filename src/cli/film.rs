//! A video, frame by frame: read ahead, restored, written behind.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use indicatif::ProgressBar;
use pentimento::photo::y4m::{Frame, Header};
use pentimento::photo::{Picture, Samples16, Unfinished};
use pentimento::{Error, Result};

use super::faces::Worker;
use super::output::print_note;
use super::target::{self, Place};
use super::{album, inputs};

/// Frames that wait for the executor, and as many that wait to be written.
const AHEAD: usize = 2;

fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether the video at `input` may be restored to `output`.
///
/// # Errors
/// [`Error::Image`] when the output is the input, another file, or is named for another format; as
/// [`target::check`].
pub fn check(input: &Path, output: &Path, force: bool) -> Result<Place> {
    if is_pipe(output) {
        return Ok(Place::Free);
    }
    let fail = |what: &str| Error::Image { path: output.to_owned(), what: what.to_owned() };
    if inputs::same_file(input, output) {
        return Err(fail("is the input itself and would be overwritten; choose another output"));
    }
    let extension = output.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if !extension.eq_ignore_ascii_case("y4m") {
        return Err(fail("--y4m writes uncompressed video; name it .y4m, or leave --y4m out"));
    }
    target::check(output, None, force)
}

/// Restores the video at `input` to `output`, "-" for standard input and output. Frames without any
/// face pass through. A file appears whole or not at all; of a video that the user has stopped, it
/// holds the frames so far.
///
/// # Errors
/// As [`Header::read`], [`Header::read_frame`] and [`Worker::restore`]; [`Error::Io`].
pub fn run(
    worker: &mut Worker,
    input: &Path,
    output: &Path,
    place: Place,
    bar: &ProgressBar,
) -> Result<()> {
    let failed = |action, path: &Path, source| Error::Io { action, path: path.to_owned(), source };
    let mut from: Box<dyn BufRead + Send> = if is_pipe(input) {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(input).map_err(|e| failed("read", input, e))?))
    };
    let named = |error| match error {
        // The reader of videos does not know their names.
        Error::Image { what, .. } if !is_pipe(input) => {
            Error::Image { path: input.to_owned(), what }
        }
        error => error,
    };
    let header = Header::read(&mut from).map_err(named)?;
    let [height, width] = worker.output_size(header.height, header.width)?;
    let mut file = if is_pipe(output) { None } else { Some(Unfinished::new(output)?) };
    let mut to: Box<dyn Write + Send> = match &mut file {
        None => Box::new(BufWriter::new(io::stdout())),
        Some(file) => Box::new(BufWriter::new(
            file.file().try_clone().map_err(|e| failed("write", output, e))?,
        )),
    };
    let result_header = header.resized(height, width);
    result_header.write(&mut to)?;
    let (header, result_header) = (&header, &result_header);
    thread::scope(|scope| {
        let (frames, waiting) = sync_channel::<Result<Seen>>(AHEAD);
        let (results, writing) = sync_channel::<(Seen, Picture)>(AHEAD);
        let no_thread = |source| failed("start", Path::new("a thread"), source);
        let reader = move || {
            while let Some(frame) = header.read_frame(&mut from).transpose() {
                let frame = frame.map(|frame| Seen::of(header, frame));
                // A damaged frame ends the video; so does an executor that has ended.
                let last = frame.is_err();
                if frames.send(frame).is_err() || last {
                    return;
                }
            }
        };
        thread::Builder::new().spawn_scoped(scope, reader).map_err(no_thread)?;
        let writer = move || -> Result<()> {
            for (seen, restored) in writing {
                let frame = seen.restored(result_header, &restored);
                result_header.write_frame(&frame, &mut to)?;
            }
            to.flush().map_err(|e| failed("write", output, e))
        };
        let writer = thread::Builder::new().spawn_scoped(scope, writer).map_err(no_thread)?;
        let mut compute = || -> Result<()> {
            for frame in &waiting {
                let seen = frame.map_err(named)?;
                let restored = restored(worker, input, &seen.picture, bar)?;
                if results.send((seen, restored)).is_err() || album::is_stopped() {
                    break;
                }
                bar.inc(1);
            }
            Ok(())
        };
        let computed = compute();
        drop((results, waiting));
        let written = writer.join().unwrap_or_else(|_| {
            Err(Error::Internal("the thread that writes frames broke down".to_owned()))
        });
        computed.and(written)
    })?;
    file.map_or(Ok(()), |file| place.finish(file))
}

/// A frame restored. What became of the device is said at once: a film takes long.
///
/// # Errors
/// As [`Worker::restore`].
pub fn restored(
    worker: &mut Worker,
    input: &Path,
    frame: &Picture,
    bar: &ProgressBar,
) -> Result<Picture> {
    let finished = worker.restore(input, 0, frame);
    for note in worker.take_notes() {
        bar.suspend(|| print_note(&note));
    }
    Ok(finished?.picture)
}

/// A frame as it was read.
pub struct Seen {
    frame: Frame,
    pub picture: Picture,
    deep: Option<Samples16>,
}

impl Seen {
    pub fn of(header: &Header, frame: Frame) -> Self {
        let (picture, deep) = (header.picture(&frame), header.samples16(&frame));
        Self { frame, picture, deep }
    }

    /// The frame of what its picture has become, of the size that `header` tells.
    pub fn restored(&self, header: &Header, picture: &Picture) -> Frame {
        header.frame_16(picture, self.deep.as_ref(), Some((&self.frame, &self.picture)))
    }
}
