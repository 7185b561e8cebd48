//! The restored frames and everything else of the film, in one file.

use std::fs;
use std::path::Path;

use pentimento::photo::Unfinished;
use pentimento::{Error, Result};

use super::encoder::{Codec, broken, is_full};
use super::parts::Parts;
use super::probe::{Source, missing, named, program};
use crate::cli::target::Place;

/// The kinds of files that films are written to: extension, ffmpeg's name, its subtitles and sound
/// where those of the input do not fit.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("mp4", "mp4", "mov_text", "aac"),
    ("m4v", "mp4", "mov_text", "aac"),
    ("mov", "mov", "mov_text", "aac"),
    ("mkv", "matroska", "srt", "aac"),
    ("webm", "webm", "webvtt", "libopus"),
    ("avi", "avi", "copy", "aac"),
    ("ts", "mpegts", "copy", "aac"),
];

/// Extensions of films that are read.
const READ: [&str; 12] =
    ["mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "mts", "mpg", "mpeg", "wmv", "3gp"];

fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// Whether a path is named as a film is.
pub fn is_film(path: &Path) -> bool {
    READ.contains(&extension(path).as_str())
}

/// Whether films are written under this name.
///
/// # Errors
/// [`Error::Image`] when they are not.
pub fn check_kind(path: &Path) -> Result<()> {
    if KINDS.iter().any(|kind| kind.0 == extension(path)) {
        return Ok(());
    }
    let what = "the extension does not say which kind of film to write; use .mp4, .mkv, .mov, \
                .webm, .avi or .ts";
    Err(Error::Image { path: path.to_owned(), what: what.to_owned() })
}

/// What of the input's other streams goes along.
enum Way {
    /// All, as it is.
    Copy,
    /// Subtitles in the kind that this file has.
    Subtitles,
    /// Neither subtitles nor data.
    NoSubtitles,
    /// That, and sound is coded again.
    Sound,
}

/// Writes the parts, and of `input` what is not its pictures, to `output`; `whole`, or as long as
/// the parts. Returns what did not go along as it is.
///
/// # Errors
/// [`Error::Input`] with what ffmpeg says; [`Error::Io`].
pub fn join(
    parts: &Parts,
    source: &Source,
    codec: &Codec,
    [input, output]: [&Path; 2],
    place: Place,
    whole: bool,
) -> Result<Vec<String>> {
    let list = parts.file("parts.txt");
    let io = |source| Error::Io { action: "write", path: list.clone(), source };
    let mut text = "ffconcat version 1.0\n".to_owned();
    for part in parts.all() {
        let end = part.first + part.frames;
        let seconds = source.seconds(end) - source.seconds(part.first);
        text += &format!("file '{}'\nduration {seconds:.9}\n", part.file);
    }
    fs::write(&list, text).map_err(io)?;
    let ways = [Way::Copy, Way::Subtitles, Way::NoSubtitles, Way::Sound];
    let mut first = None;
    for way in ways {
        let file = Unfinished::new(output)?;
        let length = (!whole).then(|| source.seconds(parts.frames()) + source.delay().max(0.0));
        let mut command = program("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y"]);
        command.args(["-itsoffset", &format!("{:.9}", source.delay())]);
        command.args(["-f", "concat", "-safe", "0", "-i"]).arg(named(&list));
        command.arg("-i").arg(named(input));
        let pictures = format!("-1:{}", source.stream);
        command.args(["-map", "0:v:0", "-map", "1", "-map", &pictures]);
        for stream in &source.chapter_names {
            command.args(["-map", &format!("-1:{stream}")]);
        }
        command.args(["-map_metadata", "1", "-map_chapters", "1"]);
        // Names one by one: an option for all of them would leave out those of other streams.
        for (key, value) in &source.names {
            command.args(["-metadata:s:v:0", &format!("{key}={value}")]);
        }
        command.args(["-disposition:v:0", "default"]);
        command.args(["-c", "copy"]);
        let kind = KINDS.iter().find(|kind| kind.0 == extension(output));
        let (_, format, subtitles, sound) = kind.unwrap_or(&KINDS[0]);
        match way {
            Way::Copy => {}
            Way::Subtitles => {
                command.args(["-c:s", subtitles]);
            }
            Way::NoSubtitles | Way::Sound => {
                command.args(["-map", "-1:s?", "-map", "-1:d?", "-map", "-1:t?"]);
                if matches!(way, Way::Sound) {
                    command.args(["-c:a", sound]);
                }
            }
        }
        if matches!(*format, "mp4" | "mov") {
            let [_, units] = source.time_base;
            // Times stay whole numbers of the input's units where it has such.
            if source.time_base[0] == 1 && units >= 1000 {
                command.args(["-video_track_timescale", &units.to_string()]);
            }
            command.args(["-movflags", "+faststart"]);
            if codec.name.contains("265") || codec.name.contains("hevc") {
                command.args(["-tag:v:0", "hvc1"]);
            }
        }
        if let Some(length) = length {
            command.args(["-t", &format!("{length:.6}")]);
        }
        command.args(["-f", format]).arg(named(file.temporary()));
        let ended = command.output().map_err(|error| missing("ffmpeg", &error))?;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.success() && !is_full(&said) {
            place.finish(file)?;
            return Ok(way.note(extension(output).as_str()).into_iter().collect());
        }
        if is_full(&said) {
            return Err(broken(&said, output));
        }
        first.get_or_insert(said);
    }
    Err(broken(&first.unwrap_or_default(), output))
}

impl Way {
    fn note(&self, kind: &str) -> Option<String> {
        let text = match self {
            Way::Copy => return None,
            Way::Subtitles => "the subtitles were converted, since a {} has no place for theirs",
            Way::NoSubtitles => "subtitles and data were left out: a {} has no place for them",
            Way::Sound => {
                "the sound was coded again, subtitles and data were left out: a {} has no place \
                 for them; .mkv has"
            }
        };
        Some(text.replace("{}", &format!(".{kind}")))
    }
}
