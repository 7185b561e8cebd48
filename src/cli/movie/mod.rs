//! Films: ffmpeg decodes and encodes, in two child processes; the frames between them are restored.

mod encoder;
mod join;
mod parts;
mod probe;
mod raw;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use pentimento::photo::y4m::Header;
use pentimento::{Error, Result};

use self::encoder::{Codec, Encoder, passthrough};
use self::parts::{Part, Parts};
use self::probe::{Source, failed, missing, named, program, said_last};
use self::raw::Layout;
use super::faces::Worker;
use super::film::{self, Seen};
use super::read::plain_file;
use super::several::no_thread;
use super::target::{self, Place};
use super::{album, inputs};

pub use self::join::is_film;

/// How a film is restored.
pub struct Options<'a> {
    /// ffmpeg's name of the encoder.
    pub codec: Option<&'a str>,
    pub crf: Option<u32>,
    /// Replaces a file that is not a result, and begins anew.
    pub force: bool,
    /// A digest of everything else that the result depends on.
    pub digest: &'a str,
}

/// What became of a film.
pub struct Restored {
    pub frames: usize,
    /// Of which an earlier run had restored so many.
    pub kept: usize,
    /// Frames that the whole film has.
    pub all: usize,
    pub notes: Vec<String>,
}

/// Frames that wait for the executor, and as many that wait for the encoder.
const AHEAD: usize = 2;
/// A part ends after so many frames, or after so long and at least a second of film: what a crash
/// may cost.
const PART: usize = 240;
const PART_TIME: Duration = Duration::from_secs(120);
const LEAST_PART: usize = 25;
/// The most bits that encoders of films know.
const MOST_BITS: u32 = 12;

/// Restores the film at `input` to `output`. Stopped by the user, it leaves what is done there, and
/// goes on from it the next time.
///
/// # Errors
/// [`Error::Input`] without ffmpeg, or with what it says; [`Error::Image`] when a path is none of a
/// film or something may not be replaced; as [`Worker::restore`]; [`Error::Io`].
pub fn run(
    worker: &mut Worker,
    [input, output]: [&Path; 2],
    options: &Options<'_>,
    bar: &ProgressBar,
) -> Result<Restored> {
    join::check_kind(output)?;
    if inputs::same_file(input, output) {
        let what = "is the input itself and would be overwritten; choose another output".to_owned();
        return Err(Error::Image { path: output.to_owned(), what });
    }
    plain_file(input)?;
    let source = Source::of(input)?;
    let digest = format!("{} {:?} {:?}", options.digest, options.codec, options.crf);
    let mut parts = Parts::open(input, output, &digest, options.force);
    let place = if parts.is_ours(output) {
        Place::Ours
    } else {
        target::check(output, None, options.force)?
    };
    let (mut child, mut from, errors) = decode(input, &source)?;
    if from.fill_buf().is_ok_and(<[u8]>::is_empty) {
        let _ = child.0.wait();
        return Err(failed(input, &errors.join().unwrap_or_default()));
    }
    let header = Header::read(&mut from)?.with_weights(source.colour.weights());
    let [height, width] = worker.output_size(header.height, header.width)?;
    let (depth, subsampling) = (header.depth(), header.subsampling());
    let layout = Layout { height, width, depth, subsampling };
    let codec = Codec::choose(options.codec, options.crf, output, layout)?;
    let result_header = header.resized(height, width);
    let kept = parts.frames();
    bar.set_length(source.times.len().max(kept) as u64);
    bar.set_position(kept as u64);
    bar.reset_eta();

    let begin = |part: &Part, parts: &Parts| {
        parts.make_folder()?;
        Encoder::start(&parts.path(part), &codec, &source, layout, header.aspect())
    };
    let (header, result_header, source_ref) = (&header, &result_header, &source);
    let parts_ref = &mut parts;
    thread::scope(|scope| {
        let (frames, waiting) = sync_channel::<Result<Seen>>(AHEAD);
        let (results, writing) = sync_channel::<Vec<u8>>(AHEAD);
        let reader = move || {
            for i in 0.. {
                let Some(frame) = header.read_frame(&mut from).transpose() else { return };
                // Frames that are done are read again: no film can be entered exactly anywhere.
                let seen = frame.map(|frame| (i >= kept).then(|| Seen::of(header, frame)));
                let Some(seen) = seen.transpose() else { continue };
                let last = seen.is_err();
                if frames.send(seen).is_err() || last {
                    return;
                }
            }
        };
        thread::Builder::new().spawn_scoped(scope, reader).map_err(no_thread)?;
        let writer = move || write(&writing, parts_ref, source_ref, &begin);
        let writer = thread::Builder::new().spawn_scoped(scope, writer).map_err(no_thread)?;
        let mut compute = || -> Result<()> {
            for seen in &waiting {
                let seen = seen?;
                let restored = film::restored(worker, input, &seen.picture, bar)?;
                let frame = seen.restored(result_header, &restored);
                if results.send(frame.planes().to_vec()).is_err() || album::is_stopped() {
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
        // Why nothing more could be written says more than that it could not.
        written.and(computed)
    })?;
    let stopped = album::is_stopped();
    let mut notes = notes_of(&source, &codec);
    if stopped {
        child.end();
    } else {
        let status = child.0.wait();
        let said = errors.join().unwrap_or_default();
        if !status.is_ok_and(|status| status.success()) {
            return Err(failed(input, &said));
        }
        if !said.is_empty() {
            let what = said_last(&said);
            notes.push(format!("the film is damaged in places, ffmpeg says: {what}"));
        }
    }
    let frames = parts.frames();
    if frames == 0 {
        let what = "the film was stopped before its first frame was done".to_owned();
        return Err(Error::Input(what));
    }
    bar.set_message("joining");
    notes.extend(join::join(&parts, &source, &codec, [input, output], place, !stopped)?);
    notes.extend(place.note());
    let all = source.times.len();
    if stopped {
        parts.leave(output)?;
    } else {
        if frames != all {
            notes.push(format!("{frames} frames were decoded, of {all} that the file names"));
        }
        parts.remove();
    }
    Ok(Restored { frames, kept, all: all.max(frames), notes })
}

/// Encodes frames, part by part.
fn write(
    frames: &Receiver<Vec<u8>>,
    parts: &mut Parts,
    source: &Source,
    begin: &dyn Fn(&Part, &Parts) -> Result<Encoder>,
) -> Result<()> {
    let mut open: Option<(Encoder, Part, Instant)> = None;
    for planes in frames {
        let (mut encoder, mut part, since) = match open.take() {
            Some(open) => open,
            None => {
                let part = parts.next();
                (begin(&part, parts)?, part, Instant::now())
            }
        };
        // From the part's own beginning.
        let time = source.nanoseconds(part.first + part.frames) - source.nanoseconds(part.first);
        encoder.write(time, &planes)?;
        part.frames += 1;
        let is_late = since.elapsed() > PART_TIME && part.frames >= LEAST_PART;
        if part.frames >= PART || is_late {
            encoder.finish()?;
            parts.add(part)?;
        } else {
            open = Some((encoder, part, since));
        }
    }
    if let Some((encoder, part, _)) = open {
        encoder.finish()?;
        parts.add(part)?;
    }
    Ok(())
}

/// The child process that decodes, its frames, and what it says.
type Decoder = (Ending, BufReader<std::process::ChildStdout>, thread::JoinHandle<Vec<u8>>);

fn decode(input: &Path, source: &Source) -> Result<Decoder> {
    let mut command = program("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(named(input));
    command.args(["-map", &format!("0:{}", source.stream)]).args(passthrough());
    if source.interlaced {
        command.args(["-vf", "bwdif=mode=send_frame:deint=interlaced,setfield=prog"]);
    }
    let (pixels, _) = pixels(&source.pixels);
    // Kinds of more than 8 bits are an extension of the format.
    command.args(["-pix_fmt", &pixels, "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| missing("ffmpeg", &error))?;
    let (Some(from), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Error::Internal("a child process has no pipes".to_owned()));
    };
    let listen = |mut from: ChildStderr| {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        text
    };
    let child = Ending(child);
    let listener = thread::Builder::new().spawn(move || listen(errors)).map_err(no_thread)?;
    Ok((child, BufReader::with_capacity(1 << 20, from), listener))
}

/// Ends a child that nobody waits for any more.
struct Ending(Child);

impl Ending {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end();
    }
}

/// The format that frames of the format `name` are decoded to, and what is lost by it.
fn pixels(name: &str) -> (String, Option<&'static str>) {
    if name.starts_with("yuvj") {
        // Of the full range, which only these names say.
        return (name.to_owned(), None);
    }
    let plain = name.trim_end_matches("le").trim_end_matches("be");
    let end = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let bits = plain[end.len()..].parse::<u32>().ok();
    let depth = match plain {
        "p010" | "p210" | "p410" | "x2rgb10" | "x2bgr10" | "y210" => 10,
        "p012" | "p212" | "p412" | "y212" => 12,
        "p016" | "p216" | "p416" | "rgb48" | "bgr48" | "rgba64" | "bgra64" | "ya16" => 16,
        // The digits are bits of a sample only behind these.
        _ if end.ends_with(['p', 'y']) && !end.starts_with("nv") => {
            bits.filter(|bits| (9..=16).contains(bits)).unwrap_or(8)
        }
        _ => 8,
    };
    let has = |parts: &[&str]| parts.iter().any(|part| plain.contains(part));
    let kind = if has(&["444", "rgb", "bgr", "gbr", "nv24", "nv42", "p41"]) {
        "yuv444p"
    } else if has(&["422", "yuyv", "uyvy", "yvyu", "nv16", "nv20", "p21", "y21"]) {
        "yuv422p"
    } else if plain.starts_with("gray") || plain.starts_with("ya") || plain.starts_with("mono") {
        "gray"
    } else {
        "yuv420p"
    };
    let depth_kept = match depth {
        9 => 10,
        14 | 16 => MOST_BITS,
        depth => depth,
    };
    let lost = if plain.starts_with("yuva")
        || plain.starts_with("ya")
        || has(&["rgba", "bgra", "argb", "abgr", "gbrap"])
    {
        Some("its transparency was left out")
    } else if depth_kept < depth {
        Some("samples of more than 12 bits became 12")
    } else {
        None
    };
    if depth_kept == 8 { (kind.to_owned(), lost) } else { (format!("{kind}{depth_kept}le"), lost) }
}

/// What a person should know of what was not kept.
fn notes_of(source: &Source, codec: &Codec) -> Vec<String> {
    let mut notes = Vec::new();
    if source.interlaced {
        notes.push("the film is interlaced: its frames were deinterlaced".to_owned());
    }
    if source.others > 0 {
        let what = "the film holds further moving pictures, which are as they were";
        notes.push(what.to_owned());
    }
    notes.extend(pixels(&source.pixels).1.map(str::to_owned));
    notes.extend(source.lost.iter().cloned());
    if source.colour.has_screen() && !codec.tells_screen() {
        notes.push(format!(
            "{} is not told of the screen that this HDR film was made on; libx265 is",
            codec.name
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::pixels;

    #[test]
    fn formats_keep_their_bits_and_colours() {
        for (from, to) in [
            ("yuv420p", "yuv420p"),
            ("yuvj422p", "yuvj422p"),
            ("yuv420p10le", "yuv420p10le"),
            ("p010le", "yuv420p10le"),
            ("yuv444p12be", "yuv444p12le"),
            ("gbrp10le", "yuv444p10le"),
            ("gray", "gray"),
            ("gray10le", "gray10le"),
            ("nv12", "yuv420p"),
            ("nv16", "yuv422p"),
            ("rgb24", "yuv444p"),
            ("rgb48le", "yuv444p12le"),
            ("yuv410p", "yuv420p"),
            ("uyvy422", "yuv422p"),
            ("pal8", "yuv420p"),
            ("", "yuv420p"),
        ] {
            assert_eq!(pixels(from).0, to, "{from}");
        }
        assert!(pixels("yuva420p").1.is_some() && pixels("yuv420p16le").1.is_some());
        assert!(pixels("yuv420p").1.is_none() && pixels("gray").1.is_none());
    }
}
