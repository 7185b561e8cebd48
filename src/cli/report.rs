//! What became of every picture, for programs, and for a later run's `--faces`.

use std::path::{Path, PathBuf};

use pentimento::photo::{self, BatchReport, PageKind, TileReport};
use pentimento::{DeviceInfo, Error, Result};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::crew::Share;
use super::output::shown;

/// The layout of reports, and of what journals keep of them: it grows when a key changes its name or
/// its meaning. Since 2, a face that was not restored says why in `skipped`, before in `left`.
pub const FORMAT: u32 = 2;

/// A whole run.
#[derive(Serialize)]
pub struct Report<'a> {
    /// See [`FORMAT`].
    pub format: u32,
    pub version: &'static str,
    /// The device, or the first of several.
    pub device: &'a DeviceInfo,
    /// What each device did, where there are several.
    #[serde(skip_serializing_if = "is_one")]
    pub devices: Vec<Share>,
    /// How many faces of photos the network took at a time on the first device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchReport>,
    #[serde(serialize_with = "lossy")]
    pub model: &'a Path,
    pub architecture: &'a str,
    /// Pictures in which something was restored.
    pub restored: usize,
    /// Pictures in which no face was found: the results show what the pictures showed.
    pub without_a_face: usize,
    /// Pictures of whose faces none was restored; each face says why.
    pub left_alone: usize,
    /// Results that an earlier run with the same options had written.
    pub kept: usize,
    pub failed: usize,
    /// Files of the folders that were taken for no pictures.
    #[serde(serialize_with = "all_lossy")]
    pub passed_over: &'a [PathBuf],
    /// Whether the user stopped the run before its end.
    pub interrupted: bool,
    pub seconds: f64,
    /// The part of the time between its first and its last picture that the executor worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    pub pictures: Vec<Outcome>,
}

impl Report<'_> {
    /// How the file of a report begins.
    pub const BEGIN: &'static str = "{\n  \"format\": ";

    /// How many pictures were restored, had no face, were left alone, were there already and failed,
    /// and how many files were passed over:
    /// what counts nothing is not named, save what was restored.
    pub fn counts(&self) -> String {
        let others = [
            (self.without_a_face, "without a face"),
            (self.left_alone, "left alone"),
            (self.kept, "already there"),
            (self.failed, "failed"),
            (self.passed_over.len(), "passed over"),
        ];
        let others = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
        format!("{} restored{}", self.restored, others.collect::<String>())
    }
}

/// What became of one input.
#[derive(Serialize)]
pub struct Outcome {
    #[serde(serialize_with = "lossy")]
    pub input: PathBuf,
    #[serde(flatten)]
    pub result: Ending,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Ending {
    Restored(Done),
    /// As an earlier run reported it.
    Kept {
        kept: bool,
        #[serde(flatten)]
        done: Value,
    },
    Failed {
        error: String,
    },
}

/// How a result was computed.
#[derive(Serialize)]
pub struct Work {
    /// Of a picture that the network saw as a whole; of a photo, `faces` tells.
    #[serde(flatten)]
    pub tiles: Option<TileReport>,
    /// What a person should know about the result.
    pub notes: Vec<String>,
}

impl Ending {
    /// Whether this run made a result, of this kind.
    pub fn became(&self, wanted: Became) -> bool {
        matches!(self, Self::Restored(done) if done.became() == wanted)
    }
}

#[derive(Serialize)]
pub struct Done {
    #[serde(serialize_with = "lossy")]
    pub output: PathBuf,
    /// What computed it, as `--device` calls it, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Height and width.
    pub input_size: [usize; 2],
    pub output_size: [usize; 2],
    /// Whether nothing was changed, so that the file is that of the input, byte for byte.
    pub copied: bool,
    #[serde(flatten)]
    pub work: Work,
    /// What became of every face, where they were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces: Option<Vec<photo::Outcome>>,
    /// Each page, or frame, of a file of several pictures. The sizes above are those of the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageDone>,
    #[serde(skip)]
    pub kind: PageKind,
    pub seconds: Seconds,
}

/// What became of a page, or of a frame of an animation.
#[derive(Serialize)]
pub struct PageDone {
    /// Height and width.
    pub input_size: [usize; 2],
    pub output_size: [usize; 2],
    #[serde(flatten)]
    pub work: Work,
    /// What became of every face, where they were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces: Option<Vec<photo::Outcome>>,
}

fn is_one(devices: &[Share]) -> bool {
    devices.len() < 2
}

/// JSON is Unicode, names of files need not be: what is none is replaced.
fn lossy<S: Serializer>(path: impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.as_ref().display())
}

fn all_lossy<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

#[derive(Clone, Copy, Serialize)]
pub struct Seconds {
    /// From the beginning of the run to when the executor took the picture.
    pub began: f64,
    pub read: f64,
    /// With the setup of the network, when it has not run at this size before. Of photos that were
    /// restored together, each has an equal part.
    pub restore: f64,
    pub write: f64,
}

/// What became of a picture that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Became {
    Restored,
    WithoutAFace,
    LeftAlone,
}

impl Done {
    pub fn became(&self) -> Became {
        match self.faces() {
            Some((_, 0)) => Became::WithoutAFace,
            Some((0, _)) => Became::LeftAlone,
            _ => Became::Restored,
        }
    }

    /// How many faces were restored and how many there are, on all pages; `None` where they were
    /// not searched.
    fn faces(&self) -> Option<(usize, usize)> {
        let pages = self.pages.iter().filter_map(|page| page.faces.as_ref());
        let mut lists = self.faces.iter().chain(pages).peekable();
        lists.peek()?;
        Some(lists.flatten().fold((0, 0), |(restored, all), face| {
            (restored + usize::from(face.skipped.is_none()), all + 1)
        }))
    }

    /// The outcome as JSON.
    ///
    /// # Errors
    /// [`Error::Internal`] for what JSON cannot hold.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::Internal(error.to_string()))
    }

    /// One line for a person.
    pub fn line(&self, input: &Path) -> String {
        let [height, width] = self.output_size;
        let seconds = self.seconds.read + self.seconds.restore + self.seconds.write;
        let (input, output) = (shown(input), shown(&self.output));
        let faces = self.faces().map_or_else(String::new, |faces| match faces {
            (_, 0) => ", no face".to_owned(),
            (1, 1) => ", 1 face".to_owned(),
            (restored, all) if restored == all => format!(", {all} faces"),
            (restored, all) => format!(", {restored} of {all} faces"),
        });
        let pages = match self.kind {
            PageKind::Single => String::new(),
            PageKind::Page => format!(", {} pages", self.pages.len()),
            PageKind::Frame => format!(", {} frames", self.pages.len()),
        };
        format!("{input} -> {output}  {width}x{height}{pages}{faces}, {seconds:.2} s\n")
    }
}
