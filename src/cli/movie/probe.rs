//! What a film holds, as ffprobe tells it.

use std::path::Path;
use std::process::Command;

use pentimento::{Error, Result};
use serde_json::Value;

/// A film before it is restored.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which of its streams are the pictures.
    pub stream: u64,
    /// The format of its pixels, by ffmpeg's name.
    pub pixels: String,
    pub interlaced: bool,
    /// Seconds that a unit of time lasts, as a fraction.
    pub time_base: [u64; 2],
    /// When every frame is shown, in order, in units of time.
    pub times: Vec<i64>,
    /// When the whole film begins, in seconds: sound may begin before the pictures.
    pub start: f64,
    pub colour: Colour,
    /// What the stream of the pictures is called, by ffmpeg's keys.
    pub names: Vec<(String, String)>,
    /// Other streams of moving pictures, which are left as they are.
    pub others: usize,
    /// Streams with the names of chapters, as QuickTime keeps them: chapters are written anew.
    pub chapter_names: Vec<u64>,
    /// What is said about the pictures that does not go along, a sentence each.
    pub lost: Vec<String>,
}

/// What is said about pictures beside them, by ffprobe's names, that no encoder is told.
const LOST: [(&str, &str); 4] = [
    ("DOVI configuration record", "the data of Dolby Vision"),
    ("HDR Dynamic Metadata SMPTE2094-40 (HDR10+)", "the data of HDR10+"),
    ("Spherical Mapping", "that its pictures are a sphere"),
    ("Stereo 3D", "that its pictures are for two eyes"),
];

/// How colours are meant, by ffmpeg's names.
#[derive(Clone, Default, Debug)]
pub struct Colour {
    pub range: Option<String>,
    pub space: Option<String>,
    pub transfer: Option<String>,
    pub primaries: Option<String>,
    pub location: Option<String>,
    /// The screen that it was made on, and its brightest frames, as x265 wants them.
    pub mastering: Option<String>,
    pub light: Option<String>,
}

/// A program of ffmpeg.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    // Ctrl-C is for this program, which ends its children when they are done.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// The error of a program of ffmpeg that cannot be started.
pub fn missing(name: &str, error: &std::io::Error) -> Error {
    Error::Input(match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "films take {name}, which is not installed: `apt install ffmpeg`, `brew install ffmpeg` \
             or `winget install ffmpeg` do that"
        ),
        _ => format!("{name} cannot be started: {error}"),
    })
}

impl Source {
    /// What is in the film at `path`.
    ///
    /// # Errors
    /// [`Error::Input`] without ffmpeg; [`Error::Image`] when it holds no moving pictures.
    pub fn of(path: &Path) -> Result<Self> {
        let fail = |what: String| Error::Image { path: path.to_owned(), what };
        let all = ask(path, &["-show_streams", "-show_format"])?;
        let streams = all["streams"].as_array().map_or(&[][..], Vec::as_slice);
        let moving = |stream: &&Value| {
            stream["codec_type"] == "video" && stream["disposition"]["attached_pic"] != 1
        };
        let mut videos = streams.iter().filter(moving);
        let video =
            videos.next().ok_or_else(|| fail("the file holds no moving pictures".to_owned()))?;
        let text = |name: &str| video[name].as_str().filter(|text| *text != "unknown");
        let stream = video["index"].as_u64().unwrap_or(0);
        let time_base = text("time_base").and_then(fraction);
        let time_base = time_base.ok_or_else(|| fail("its frames have no times".to_owned()))?;
        let times = times(path, stream)?;
        if times.is_empty() {
            return Err(fail("it holds no frame".to_owned()));
        }
        let start = all["format"]["start_time"].as_str().and_then(|text| text.parse().ok());
        let owned = |name: &str| text(name).map(str::to_owned);
        let mut colour = Colour {
            range: owned("color_range"),
            space: owned("color_space"),
            transfer: owned("color_transfer"),
            primaries: owned("color_primaries"),
            location: owned("chroma_location").filter(|place| place != "unspecified"),
            ..Colour::default()
        };
        let mut lost = Vec::new();
        if video["closed_captions"] == 1 {
            lost.push("closed captions in its pictures were left out".to_owned());
        }
        let beside = video["side_data_list"].as_array().cloned().unwrap_or_default();
        let of_frame = match colour.transfer.as_deref() {
            Some("smpte2084" | "arib-std-b67") => first_frame(path, stream)?,
            _ => Vec::new(),
        };
        colour.read_screen(&of_frame);
        for (kind, name) in LOST {
            if beside.iter().chain(&of_frame).any(|data| data["side_data_type"] == kind) {
                lost.push(format!("{name} did not go along"));
            }
        }
        let names = ["language", "title", "handler_name"].into_iter().filter_map(|key| {
            let value = video["tags"][key].as_str()?;
            Some((key.to_owned(), value.to_owned()))
        });
        let names = names.collect();
        let names_chapters = |stream: &&Value| {
            stream["codec_type"] == "data" && stream["codec_tag_string"] == "text"
        };
        let chapter_names = streams.iter().filter(names_chapters);
        let chapter_names = chapter_names.filter_map(|stream| stream["index"].as_u64()).collect();
        Ok(Self {
            stream,
            names,
            pixels: owned("pix_fmt").unwrap_or_default(),
            interlaced: text("field_order").is_some_and(|order| order != "progressive"),
            time_base,
            times,
            start: start.unwrap_or(0.0),
            colour,
            others: videos.count(),
            chapter_names,
            lost,
        })
    }

    /// Seconds from the first frame to the frame `i`, or to where one more would be.
    pub fn seconds(&self, i: usize) -> f64 {
        self.in_seconds(self.time(i) - self.time(0))
    }

    /// When the pictures begin, in seconds after the whole film does.
    pub fn delay(&self) -> f64 {
        self.in_seconds(self.time(0)) - self.start
    }

    /// Nanoseconds from the first frame to the frame `i`.
    pub fn nanoseconds(&self, i: usize) -> u64 {
        let units = u128::try_from(self.time(i) - self.time(0)).unwrap_or(0);
        let [above, below] = self.time_base.map(u128::from);
        u64::try_from(units * above * 1_000_000_000 / below).unwrap_or(u64::MAX)
    }

    fn in_seconds(&self, units: i64) -> f64 {
        units as f64 * self.time_base[0] as f64 / self.time_base[1] as f64
    }

    /// The time of a frame; behind the last as if the last step went on.
    fn time(&self, i: usize) -> i64 {
        match (self.times.get(i), &self.times[..]) {
            (Some(time), _) => *time,
            (None, [.., before, last]) => {
                last + (last - before) * (i + 1 - self.times.len()) as i64
            }
            (None, [only]) => *only + i as i64,
            (None, []) => 0,
        }
    }
}

impl Colour {
    /// Parts of red and blue in the luminance (ITU-R BT.601, BT.709, BT.2020).
    pub fn weights(&self) -> Option<[f32; 2]> {
        match self.space.as_deref()? {
            "bt709" => Some([0.2126, 0.0722]),
            "smpte170m" | "bt470bg" => Some([0.299, 0.114]),
            "bt2020nc" | "bt2020c" => Some([0.2627, 0.0593]),
            _ => None,
        }
    }

    /// Whether it is known on which screen the film was made, or how bright it gets.
    pub fn has_screen(&self) -> bool {
        self.mastering.is_some() || self.light.is_some()
    }

    /// Reads what is said beside the first frame of the screen that an HDR film was made on.
    fn read_screen(&mut self, beside: &[Value]) {
        for data in beside {
            let part = |name: &str, unit: f64| {
                let [above, below] = data[name].as_str().and_then(fraction)?;
                Some((above as f64 / below as f64 * unit).round() as u64)
            };
            match data["side_data_type"].as_str() {
                Some("Mastering display metadata") => {
                    let point = |name: &str| {
                        let at = |axis: &str| part(&format!("{name}_{axis}"), 50_000.0);
                        Some(format!("({},{})", at("x")?, at("y")?))
                    };
                    let points = ["green", "blue", "red", "white_point"].map(point);
                    let light = ["max_luminance", "min_luminance"].map(|name| part(name, 10_000.0));
                    if let ([Some(g), Some(b), Some(r), Some(w)], [Some(max), Some(min)]) =
                        (points, light)
                    {
                        self.mastering = Some(format!("G{g}B{b}R{r}WP{w}L({max},{min})"));
                    }
                }
                Some("Content light level metadata") => {
                    let all = [&data["max_content"], &data["max_average"]].map(Value::as_u64);
                    if let [Some(content), Some(average)] = all {
                        self.light = Some(format!("{content},{average}"));
                    }
                }
                _ => {}
            }
        }
    }
}

/// What is said beside the first frame.
fn first_frame(path: &Path, stream: u64) -> Result<Vec<Value>> {
    let which = stream.to_string();
    let asked = ["-select_streams", &which, "-read_intervals", "%+#1", "-show_frames"];
    let frames = ask(path, &asked)?;
    Ok(frames["frames"][0]["side_data_list"].as_array().cloned().unwrap_or_default())
}

/// "1/15360"
fn fraction(text: &str) -> Option<[u64; 2]> {
    let (above, below) = text.split_once('/')?;
    let (above, below) = (above.parse().ok()?, below.parse().ok()?);
    (below > 0).then_some([above, below])
}

/// What ffprobe says.
fn ask(path: &Path, arguments: &[&str]) -> Result<Value> {
    let mut command = program("ffprobe");
    command.args(["-v", "error", "-of", "json"]).args(arguments).arg("-i").arg(named(path));
    let output = command.output().map_err(|error| missing("ffprobe", &error))?;
    if !output.status.success() {
        return Err(failed(path, &output.stderr));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Error::Image {
        path: path.to_owned(),
        what: format!("ffprobe says nothing that is understood of it: {error}"),
    })
}

/// When every frame is shown.
fn times(path: &Path, stream: u64) -> Result<Vec<i64>> {
    let which = stream.to_string();
    let asked = ["-select_streams", &which, "-show_entries", "packet=pts,dts,flags"];
    let packets = ask(path, &asked)?;
    let packets = packets["packets"].as_array().map_or(&[][..], Vec::as_slice);
    // What an edit list cuts off is decoded, not shown.
    let is_shown = |packet: &&Value| !packet["flags"].as_str().is_some_and(|f| f.contains('D'));
    // Some kinds of files say only when a frame is decoded.
    let time = |packet: &Value| packet["pts"].as_i64().or_else(|| packet["dts"].as_i64());
    let mut times: Vec<i64> = packets.iter().filter(is_shown).filter_map(time).collect();
    times.sort_unstable();
    times.dedup();
    Ok(times)
}

/// The error of a film that ffmpeg cannot read.
pub fn failed(path: &Path, errors: &[u8]) -> Error {
    let what = format!("ffmpeg cannot read it: {}", said_last(errors));
    Error::Image { path: path.to_owned(), what }
}

/// The last line of what ffmpeg said.
pub fn said_last(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let said = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
    said.trim().to_owned()
}

/// A path that ffmpeg takes for a file, whatever it looks like: "a:b.mp4" would be an address.
pub fn named(path: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from("file:");
    name.push(path);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_frames() {
        let source = Source {
            stream: 0,
            names: Vec::new(),
            pixels: String::new(),
            interlaced: false,
            time_base: [1, 1000],
            times: vec![100, 140, 200],
            start: 0.05,
            colour: Colour::default(),
            others: 0,
            chapter_names: Vec::new(),
            lost: Vec::new(),
        };
        assert_eq!((source.seconds(2), source.seconds(4)), (0.1, 0.22));
        assert_eq!(source.nanoseconds(1), 40_000_000);
        assert!((source.delay() - 0.05).abs() < 1e-12);
        assert_eq!(fraction("1/0"), None);
    }
}
