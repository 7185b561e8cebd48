//! What became of every picture, for programs, and for a later run's `--faces`.

use std::path::{Path, PathBuf};

use pentimento::photo::{self, TileReport};
use pentimento::{DeviceInfo, Error, Result};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The layout of reports, and of what journals keep of them: it grows when a key changes its name or
/// its meaning. Since 2, a face that was not restored says why in `skipped`, before in `left`.
pub const FORMAT: u32 = 2;

/// A whole run.
#[derive(Serialize)]
pub struct Report<'a> {
    /// See [`FORMAT`].
    pub format: u32,
    pub version: &'static str,
    pub device: &'a DeviceInfo,
    #[serde(serialize_with = "lossy")]
    pub model: &'a Path,
    pub architecture: &'a str,
    pub restored: usize,
    /// Results that an earlier run with the same options had written.
    pub kept: usize,
    pub failed: usize,
    /// Whether the user stopped the run before its end.
    pub interrupted: bool,
    pub seconds: f64,
    /// The part of the time between its first and its last picture that the executor worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    pub pictures: Vec<Outcome>,
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

#[derive(Serialize)]
pub struct Done {
    #[serde(serialize_with = "lossy")]
    pub output: PathBuf,
    /// Height and width.
    pub input_size: [usize; 2],
    pub output_size: [usize; 2],
    #[serde(flatten)]
    pub work: TileReport,
    /// What became of every face, where they were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faces: Option<Vec<photo::Outcome>>,
    pub seconds: Seconds,
}

/// JSON is Unicode, names of files need not be: what is none is replaced.
fn lossy<S: Serializer>(path: impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.as_ref().display())
}

#[derive(Clone, Copy, Serialize)]
pub struct Seconds {
    /// From the beginning of the run to when the executor took the picture.
    pub began: f64,
    pub read: f64,
    /// With the setup of the network, when it has not run at this size before.
    pub restore: f64,
    pub write: f64,
}

impl Done {
    /// The same as JSON.
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
        let (input, output) = (input.display(), self.output.display());
        let faces = self.faces.as_ref().map_or_else(String::new, |faces| {
            let restored = faces.iter().filter(|face| face.skipped.is_none()).count();
            match (restored, faces.len()) {
                (_, 0) => ", no face".to_owned(),
                (1, 1) => ", 1 face".to_owned(),
                (restored, all) if restored == all => format!(", {all} faces"),
                (restored, all) => format!(", {restored} of {all} faces"),
            }
        });
        format!("{input} -> {output}  {width}x{height}{faces}, {seconds:.2} s\n")
    }
}
