//! Which model a command uses when none is named, and what its file does not say.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;
use pentimento::models::Options;
use pentimento::nn::stylegan2::Resample;
use pentimento::{Error, Model, Result};

const DEFAULT: &str = "weights/mmrbnet-256.safetensors";
const VARIABLE: &str = "PENTIMENTO_MODEL";

/// The path that was given, else that of `PENTIMENTO_MODEL`, else the default model in the folder
/// `weights` of the current folder, of one that contains the executable, or of the source tree.
///
/// # Errors
/// [`Error::Checkpoint`] says where it was searched.
pub fn path(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let folders = folders();
    if let Some(found) = folders.iter().map(|f| f.join(DEFAULT)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let searched: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
    Err(Error::Checkpoint {
        path: DEFAULT.into(),
        what: format!(
            "the default model was found in none of these folders: {}; name a model with --model \
             FILE or the environment variable {VARIABLE}",
            searched.join(", ")
        ),
    })
}

fn folders() -> Vec<PathBuf> {
    let current = env::current_dir().ok();
    let executable = env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in current.iter().map(PathBuf::as_path).chain(above).chain([sources]) {
        if !folders.iter().any(|f| f == folder) {
            folders.push(folder.to_owned());
        }
    }
    folders
}

/// What a model's file does not say.
#[derive(Args)]
pub struct Assumptions {
    /// What the model's file cannot tell, instead of the default that `pentimento inspect` shows:
    /// "resampling=bilinear" for GFPGANBilinear, whose tensors look like GFPGANv1's, and for a
    /// StyleGAN2 of BasicSR trained so; "slope=0" for an SRVGGNetCompact with ReLU.
    #[arg(long = "assume", value_name = "NAME=VALUE", value_parser = assumption)]
    assumptions: Vec<Assumption>,
}

#[derive(Clone, Copy)]
enum Assumption {
    Resampling(Resample),
    Slope(f32),
}

impl Assumptions {
    /// Opens a model file under these assumptions.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(&self, path: &Path) -> Result<Model> {
        let mut options = Options::default();
        for assumption in &self.assumptions {
            match *assumption {
                Assumption::Resampling(resample) => options.resample = Some(resample),
                Assumption::Slope(slope) => options.slope = Some(slope),
            }
        }
        Model::open_with(path, &options)
    }
}

fn assumption(text: &str) -> std::result::Result<Assumption, String> {
    match text.split_once('=') {
        Some(("resampling", "fir")) => Ok(Assumption::Resampling(Resample::Fir)),
        Some(("resampling", "bilinear")) => Ok(Assumption::Resampling(Resample::Bilinear)),
        Some(("slope", slope)) => match slope.parse() {
            Ok(slope) if (0.0..=1.0).contains(&slope) => Ok(Assumption::Slope(slope)),
            _ => Err("a slope is a number from 0 to 1".to_owned()),
        },
        _ => Err("expected resampling=fir, resampling=bilinear or slope=NUMBER".to_owned()),
    }
}
