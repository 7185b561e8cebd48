//! The encoder: a child process that takes frames.

use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::thread::JoinHandle;

use pentimento::{Error, Result};

use super::probe::{Colour, Source, missing, named, program};
use super::raw::{self, Layout};

/// How a film is compressed.
#[derive(Clone, Debug)]
pub struct Codec {
    /// ffmpeg's name of the encoder.
    pub name: String,
    /// The constant quality, in the encoder's own scale: less is better.
    pub crf: Option<u32>,
}

/// Encoders that know constant quality, with what is nearly indistinguishable in each.
const QUALITIES: [(&str, u32); 5] =
    [("libx264", 17), ("libx265", 19), ("libvpx-vp9", 24), ("libaom-av1", 22), ("libsvtav1", 24)];

impl Codec {
    /// What was asked for, or what suits the file's kind and the bits of its samples.
    ///
    /// # Errors
    /// [`Error::Input`] when this ffmpeg lacks it.
    pub fn choose(
        asked: Option<&str>,
        crf: Option<u32>,
        output: &Path,
        layout: Layout,
    ) -> Result<Self> {
        let extension = output.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let usual = match extension.to_ascii_lowercase().as_str() {
            "webm" => "libvpx-vp9",
            // Few players know H.264 with more than 8 bits.
            _ if layout.depth > 8 => "libx265",
            _ => "libx264",
        };
        let name = asked.unwrap_or(usual);
        let known = program("ffmpeg").args(["-v", "error", "-hide_banner", "-encoders"]).output();
        let known = known.map_err(|error| missing("ffmpeg", &error))?;
        let known = String::from_utf8_lossy(&known.stdout);
        if !known.lines().any(|line| line.split_whitespace().nth(1) == Some(name)) {
            return Err(Error::Input(format!(
                "this ffmpeg has no encoder {name}; `ffmpeg -encoders` lists those that it has, \
                 --video-codec takes one of them"
            )));
        }
        let quality = QUALITIES.iter().find(|quality| quality.0 == name);
        Ok(Self { name: name.to_owned(), crf: crf.or_else(|| quality.map(|quality| quality.1)) })
    }

    /// Whether it is told of the screen that an HDR film was made on.
    pub fn tells_screen(&self) -> bool {
        self.name == "libx265"
    }

    fn arguments(&self, colour: &Colour) -> Vec<String> {
        let mut all = vec!["-c:v".to_owned(), self.name.clone()];
        let mut add = |name: &str, value: &str| all.extend([name.to_owned(), value.to_owned()]);
        if let Some(crf) = self.crf {
            add("-crf", &crf.to_string());
        }
        match self.name.as_str() {
            "libvpx-vp9" => {
                add("-b:v", "0");
                add("-row-mt", "1");
            }
            "libx265" => {
                let mut more = vec!["log-level=error".to_owned()];
                more.extend(colour.mastering.iter().map(|text| format!("master-display={text}")));
                more.extend(colour.light.iter().map(|text| format!("max-cll={text}")));
                add("-x265-params", &more.join(":"));
            }
            _ => {}
        }
        for (name, value) in [
            ("-color_range", &colour.range),
            ("-colorspace", &colour.space),
            ("-color_trc", &colour.transfer),
            ("-color_primaries", &colour.primaries),
            ("-chroma_sample_location", &colour.location),
        ] {
            if let Some(value) = value {
                add(name, value);
            }
        }
        all
    }
}

/// An encoder that runs. A file that it does not finish is removed.
pub struct Encoder {
    path: PathBuf,
    is_whole: bool,
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    errors: Option<JoinHandle<String>>,
}

impl Encoder {
    /// Starts one that writes to `path`.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot be started; as [`Self::write`].
    pub fn start(
        path: &Path,
        codec: &Codec,
        source: &Source,
        layout: Layout,
        aspect: Option<(u32, u32)>,
    ) -> Result<Self> {
        let [above, below] = source.time_base;
        let mut command = program("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y", "-f", "matroska", "-i", "pipe:0"]);
        command.args(passthrough());
        if let Some((width, height)) = aspect {
            command.args(["-vf", &format!("setsar={width}/{height}")]);
        }
        command.args(codec.arguments(&source.colour));
        command.args(["-pix_fmt", &layout.pixel_format()]);
        command.args(["-enc_time_base", &format!("{above}:{below}"), "-f", "nut"]);
        command.arg(named(path)).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child =
            command.stderr(Stdio::piped()).spawn().map_err(|error| missing("ffmpeg", &error))?;
        // Without a thread left, what the encoder says is not heard.
        let errors = child.stderr.take().and_then(|mut from| {
            let listen = move || {
                let mut text = Vec::new();
                let _ = from.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            };
            std::thread::Builder::new().spawn(listen).ok()
        });
        let to = child.stdin.take().map(BufWriter::new);
        let (path, is_whole) = (path.to_owned(), false);
        let mut encoder = Self { path, is_whole, child, to, errors };
        encoder.feed(|to| raw::write_header(layout, to))?;
        Ok(encoder)
    }

    /// Encodes a frame.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn write(&mut self, nanoseconds: u64, planes: &[u8]) -> Result<()> {
        self.feed(|to| raw::write_frame(nanoseconds, planes, to))
    }

    fn feed(
        &mut self,
        write: impl FnOnce(&mut BufWriter<ChildStdin>) -> std::io::Result<()>,
    ) -> Result<()> {
        let Some(to) = &mut self.to else { return Ok(()) };
        match write(to) {
            Ok(()) => Ok(()),
            // It has ended: its own words say why.
            Err(error) => {
                self.to = None;
                let ended = self.end().err();
                Err(ended.unwrap_or_else(|| broken(&error.to_string(), &self.path)))
            }
        }
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// [`Error::Input`] with what the encoder says; [`Error::Io`] when the disk is full.
    pub fn finish(mut self) -> Result<()> {
        let flushed = self.to.take().map_or(Ok(()), |mut to| to.flush());
        self.end()?;
        self.is_whole = flushed.is_ok();
        flushed.map_err(|error| broken(&error.to_string(), &self.path))
    }

    fn end(&mut self) -> Result<()> {
        let status = self.child.wait();
        let errors = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        match status {
            Ok(status) if status.success() && !is_full(&errors) => Ok(()),
            _ => Err(broken(&errors, &self.path)),
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // A frame that is half written ends it.
        self.to = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.is_whole {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether ffmpeg complains that the disk is full.
pub fn is_full(errors: &str) -> bool {
    errors.contains("No space left on device") || errors.contains("There is not enough space")
}

/// The error of a child that failed to write to `path` and said this.
pub fn broken(errors: &str, path: &Path) -> Error {
    if is_full(errors) {
        let what = "the disk is full; free some space, and the same command goes on";
        let source = std::io::Error::other(what);
        return Error::Io { action: "write", path: path.to_owned(), source };
    }
    let said = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing");
    Error::Input(format!("ffmpeg could not encode the film; it says: {}", said.trim()))
}

/// One frame out for every frame in: by the option's old name where this ffmpeg is that old.
pub fn passthrough() -> [&'static str; 2] {
    let version = program("ffmpeg").arg("-version").output();
    let text = version.map(|v| String::from_utf8_lossy(&v.stdout).into_owned()).unwrap_or_default();
    let number = text.split_whitespace().nth(2).and_then(|word| word.split('.').next());
    // Builds between versions are named by their date or commit.
    let old = number.and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n < 5);
    if old { ["-vsync", "passthrough"] } else { ["-fps_mode", "passthrough"] }
}
