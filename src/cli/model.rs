//! Which model a command uses when none is named, and what its file does not say.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use pentimento::models::{Options, ValueRange, published};
use pentimento::nn::stylegan2::Resample;
use pentimento::{Error, Model, Result};

use super::download::digest;
use super::output::print_note;
use super::{cache, value};

const DEFAULT: &str = "weights/mmrbnet-256.safetensors";
/// The detector beside it.
const DETECTOR: &str = "weights/face-detector.safetensors";
/// What these two are called on the command line.
const NAME: &str = "default";
/// Digests of the files in `weights` that this version was built with, as `sha256sum` writes them.
const SUMS: &str = include_str!("../../weights/SHA256SUMS");
const VARIABLE: &str = "PENTIMENTO_MODEL";

/// The model that was given, else that of `PENTIMENTO_MODEL`, else the default model in the folder
/// `weights` of the current folder, of one that contains the executable, or of the source tree. The
/// name `default` asks for that one too; its file must be the one this version was built with.
///
/// # Errors
/// [`Error::Checkpoint`] says where it was searched, or that the default model's file is another;
/// [`Error::Input`] that a published model was not pulled yet.
pub fn path(given: Option<&Path>) -> Result<PathBuf> {
    let variable = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    match given.or(variable.as_deref()) {
        Some(path) if path != Path::new(NAME) => named(path),
        _ => default(DEFAULT)?.ok_or_else(|| {
            missing(DEFAULT, &format!("--model FILE or the environment variable {VARIABLE}"))
        }),
    }
}

/// The file in the first folder that has it.
fn default(file: &str) -> Result<Option<PathBuf>> {
    let mut places = folders().into_iter().map(|folder| folder.join(file));
    places.find(|path| path.is_file()).map(own).transpose()
}

fn missing(file: &str, instead: &str) -> Error {
    let searched: Vec<String> = folders().iter().map(|f| f.display().to_string()).collect();
    Error::Checkpoint {
        path: file.into(),
        what: format!(
            "this default was found in none of these folders: {}; name another with {instead}",
            searched.join(", ")
        ),
    }
}

/// The file, if it has the digest that [`SUMS`] has for its name.
fn own(path: PathBuf) -> Result<PathBuf> {
    let read = |source| Error::Io { action: "read", path: path.clone(), source };
    let found = digest(&mut File::open(&path).map_err(read)?).map_err(read)?;
    let mut sums = SUMS.lines().filter_map(|line| line.split_once("  "));
    let expected = sums.find(|(_, name)| path.ends_with(name)).map(|(sum, _)| sum);
    match expected {
        Some(expected) if expected != found => Err(Error::Checkpoint {
            what: format!(
                "has the SHA-256 {found}, this version's default is {expected}; fetch the file \
                 again, or name it with --model FILE or --detector FILE to use it as it is"
            ),
            path,
        }),
        _ => Ok(path),
    }
}

/// Pulled detectors that are used where the default one is missing, the best first.
const DETECTORS: [&str; 3] = ["retinaface-resnet50", "yunet", "retinaface-mobilenet"];

/// The detector that was given, else the default one, which is searched where the default model is
/// and called as it, else one that was pulled.
///
/// # Errors
/// As [`path`].
pub fn detector(given: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = given.filter(|path| *path != Path::new(NAME)) {
        return named(path).map(Some);
    }
    let default = default(DETECTOR)?;
    if default.is_some() {
        return Ok(default);
    }
    if given.is_some() {
        return Err(missing(DETECTOR, "--detector FILE"));
    }
    let mut pulled = DETECTORS.iter().filter_map(|name| cache::model(published(name)?).ok());
    Ok(pulled.find(|path| path.is_file()))
}

/// Pulled parsers that are used where none is given, the best first.
const PARSERS: [&str; 2] = ["parsenet", "bisenet"];

/// The parser that was given, else one that was pulled.
///
/// # Errors
/// As [`path`], for a given one.
pub fn parser(given: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = given {
        return named(path).map(Some);
    }
    let mut pulled = PARSERS.iter().filter_map(|name| cache::model(published(name)?).ok());
    Ok(pulled.find(|path| path.is_file()))
}

/// A file, or a published model by its name.
///
/// # Errors
/// [`Error::Input`] when it was not pulled yet.
pub fn named(given: &Path) -> Result<PathBuf> {
    let Some(published) = given.to_str().filter(|_| !given.exists()).and_then(published) else {
        return Ok(given.to_owned());
    };
    let path = cache::model(published)?;
    if path.is_file() {
        return Ok(path);
    }
    let name = published.name;
    Err(Error::Input(format!(
        "the model {name} is not on this machine; `pentimento models pull {name}` fetches it"
    )))
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

/// Says which of the file's weights were taken, where there were others, and what was left out.
pub fn tell(path: &Path, model: &Model, quiet: bool) {
    if quiet {
        return;
    }
    let taken = model.checkpoint().taken();
    if taken.was_chosen() {
        print_note(&format!("{}: took {}", path.display(), taken.sentence()));
    }
    if let Some(left_out) = taken.left_out_list() {
        print_note(&format!("{}: left out {left_out}", path.display()));
    }
}

/// What a model's file does not say.
#[derive(Args, Debug)]
pub struct Assumptions {
    /// What the model's file cannot tell, instead of the default that `pentimento inspect` shows:
    /// "resampling=bilinear" for GFPGANBilinear, whose tensors look like GFPGANv1's, and for a
    /// StyleGAN2 of BasicSR trained so; "slope=0" for an SRVGGNetCompact with ReLU; "range=0..1" for
    /// a GPEN that paints faces from their segmentation; "adain=off" for a CodeFormer that fills
    /// holes.
    #[arg(long = "assume", value_name = "NAME=VALUE", value_parser = assumption)]
    assumptions: Vec<Assumption>,

    /// For CodeFormer: how much it keeps to the degraded picture, from 0 (the best looking face) to
    /// 1 (the most faithful one)
    #[arg(long, value_name = "0..1", value_parser = value::fraction)]
    fidelity: Option<f32>,
}

#[derive(Clone, Copy, Debug)]
enum Assumption {
    Resampling(Resample),
    Slope(f32),
    Range(ValueRange),
    AdaIn(bool),
}

impl Assumption {
    /// Its name, and what the names of the networks that it is about begin with.
    fn about(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Resampling(_) => {
                ("resampling", &["GFPGANv1", "GFPGANBilinear", "StyleGAN2 (BasicSR)"])
            }
            Self::Slope(_) => ("slope", &["SRVGGNetCompact"]),
            Self::Range(_) => ("range", &["GPEN"]),
            Self::AdaIn(_) => ("adain", &["CodeFormer"]),
        }
    }
}

impl Assumptions {
    /// Opens a model file under these assumptions.
    ///
    /// # Errors
    /// As [`Model::open`]; [`Error::Input`] when the model has no fidelity to choose.
    pub fn open(&self, path: &Path) -> Result<Model> {
        let mut options = Options::default();
        for assumption in &self.assumptions {
            match *assumption {
                Assumption::Resampling(resample) => options.resample = Some(resample),
                Assumption::Slope(slope) => options.slope = Some(slope),
                Assumption::Range(range) => options.range = Some(range),
                Assumption::AdaIn(adain) => options.codeformer.adain = Some(adain),
            }
        }
        options.codeformer.fidelity = self.fidelity;
        let model = Model::open_with(path, &options)?;
        for assumption in &self.assumptions {
            let (name, networks) = assumption.about();
            let network = model.architecture();
            if !networks.iter().any(|start| network.starts_with(start)) {
                return Err(Error::Input(format!(
                    "{}: {network} has no {name} to choose; leave out --assume {name}, or use {}",
                    path.display(),
                    networks.join(" or ")
                )));
            }
        }
        match model.architecture() {
            other if self.fidelity.is_some() && other != "CodeFormer" => {
                Err(Error::Input(format!(
                    "{}: {other} has no fidelity to choose; leave out --fidelity, or use a CodeFormer",
                    path.display()
                )))
            }
            _ => Ok(model),
        }
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
        Some(("range", "-1..1")) => Ok(Assumption::Range(ValueRange::Signed)),
        Some(("range", "0..1")) => Ok(Assumption::Range(ValueRange::Unit)),
        Some(("adain", "on")) => Ok(Assumption::AdaIn(true)),
        Some(("adain", "off")) => Ok(Assumption::AdaIn(false)),
        _ => Err("expected resampling=fir, resampling=bilinear, slope=NUMBER, range=-1..1, \
                  range=0..1, adain=on or adain=off"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_weights_has_its_digest() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
        let mut files = 0;
        for entry in folder.read_dir().expect("weights") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
                assert!(SUMS.lines().any(|line| line.ends_with(&format!("  {name}"))), "{name}");
                own(path).expect("the file that SHA256SUMS names");
                files += 1;
            }
        }
        assert_eq!(files, SUMS.lines().count());
    }
}
