//! Which model a command uses when none is named, and what its file does not say.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;
use pentimento::models::{Options, ValueRange, published};
use pentimento::nn::stylegan2::Resample;
use pentimento::{Error, Model, Result};

use super::output::print_note;
use super::{cache, defaults, value};

const VARIABLE: &str = "PENTIMENTO_MODEL";

/// The model that was given, else that of `PENTIMENTO_MODEL`, else the default model, which is
/// fetched where it is missing. The name `default` asks for that one too; its file must be the one
/// this version was built with.
///
/// # Errors
/// [`Error::Checkpoint`] says where it was searched, or that the default model's file is another;
/// [`Error::Input`] that a published model was not pulled yet.
pub fn path(given: Option<&Path>) -> Result<PathBuf> {
    let variable = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    match given.or(variable.as_deref()) {
        Some(path) if path != Path::new(defaults::NAME) => named(path),
        _ => {
            let instead = format!("--model FILE or the environment variable {VARIABLE}");
            defaults::find_or_fetch(defaults::MODEL, &instead)
        }
    }
}

/// Pulled detectors that are used where the default one is missing, the best first.
const DETECTORS: [&str; 3] = ["retinaface-resnet50", "yunet", "retinaface-mobilenet"];

/// The detector that was given, else the default one, else one that was pulled, else the default
/// one from its address. The name `default` asks for the default one.
///
/// # Errors
/// As [`path`].
pub fn detector(given: Option<&Path>) -> Result<Option<PathBuf>> {
    const INSTEAD: &str = "--detector FILE";
    if let Some(path) = given {
        return match path == Path::new(defaults::NAME) {
            true => defaults::find_or_fetch(defaults::DETECTOR, INSTEAD).map(Some),
            false => named(path).map(Some),
        };
    }
    let default = defaults::find(defaults::DETECTOR)?;
    if default.is_some() {
        return Ok(default);
    }
    let mut pulled = DETECTORS.iter().filter_map(|name| cache::model(published(name)?).ok());
    match pulled.find(|path| path.is_file()) {
        None if defaults::can_fetch() => {
            defaults::find_or_fetch(defaults::DETECTOR, INSTEAD).map(Some)
        }
        found => Ok(found),
    }
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

/// Says which of the file's weights were taken, where there were others, what was left out, and what
/// was assumed where the file does not say.
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
    for (name, value) in model.info().parameters {
        if value.contains("(assumed") {
            print_note(&format!("{}: {name} is {value}", path.display()));
        }
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
