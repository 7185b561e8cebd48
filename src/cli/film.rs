//! A video, frame by frame: read ahead, restored, written behind.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use indicatif::ProgressBar;
use pentimento::photo::y4m::{Frame, Header};
use pentimento::photo::{Picture, Unfinished};
use pentimento::{Error, Result};

use super::faces::Worker;
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
    let header = Header::read(&mut from)?;
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
        let (frames, waiting) = sync_channel::<Result<(Frame, Picture)>>(AHEAD);
        let (results, writing) = sync_channel::<(Frame, Picture, Picture)>(AHEAD);
        scope.spawn(move || {
            while let Some(frame) = header.read_frame(&mut from).transpose() {
                let frame = frame.map(|frame| {
                    let picture = header.picture(&frame);
                    (frame, picture)
                });
                // A damaged frame ends the video; so does an executor that has ended.
                let last = frame.is_err();
                if frames.send(frame).is_err() || last {
                    return;
                }
            }
        });
        let writer = scope.spawn(move || -> Result<()> {
            for (frame, seen, restored) in writing {
                let frame = result_header.frame(&restored, Some((&frame, &seen)));
                result_header.write_frame(&frame, &mut to)?;
            }
            to.flush().map_err(|e| failed("write", output, e))
        });
        let mut compute = || -> Result<()> {
            for frame in &waiting {
                let (frame, seen) = frame?;
                let restored = worker.restore(input, &seen)?.picture;
                if results.send((frame, seen, restored)).is_err() || album::is_stopped() {
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
