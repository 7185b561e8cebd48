//! Architectures: how to recognise one in a checkpoint, read its hyper-parameters off the tensors,
//! and build its graph. One file each; nothing else knows any of it.

mod codeformer;
mod gfpgan_clean;
mod mmrbnet;
mod restoreformer;
mod srvgg;
mod stylegan2;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::PixelFormat;
use crate::tensor::Shape;

pub use mmrbnet::{Inject, MmrbNet};

/// What a network is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Task {
    /// An aligned face of `size × size` pixels becomes a restored one of the same size.
    RestoreFace {
        /// Side in pixels.
        size: usize,
    },
    /// Any picture becomes `factor` times as large.
    Upscale {
        /// Output pixels per input pixel, on either axis.
        factor: usize,
        /// An output pixel depends on input pixels at most this far away.
        radius: usize,
        /// Height and width of the input must be multiples of this.
        multiple: usize,
    },
    /// A latent vector becomes a picture.
    Generate {
        /// Length of the vector.
        latent: usize,
        /// Side of the picture in pixels.
        size: usize,
    },
}

/// A recognised architecture with its hyper-parameters.
pub trait Network: Send + Sync + std::fmt::Debug {
    /// Its name in the literature.
    fn name(&self) -> &'static str;

    /// What it is for.
    fn task(&self) -> Task;

    /// Hyper-parameters, and what was assumed where the file does not say, as name and value.
    fn parameters(&self) -> Vec<(&'static str, String)>;

    /// How 8-bit pictures become its inputs and its outputs become pictures.
    fn pixels(&self) -> PixelFormat;

    /// Names of the graph's outputs, in order. The first is what the network is for.
    fn outputs(&self) -> &'static [&'static str] {
        &["output"]
    }

    /// The graph for an input of shape `input`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a tensor is missing or misshapen, [`Error::Input`] when the network
    /// does not take that shape.
    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph>;
}

/// Choices that a checkpoint does not hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Options {
    /// Of StyleGAN2's latents; `None`: as they are.
    pub truncation: Option<Truncation>,
    /// Attention heads of RestoreFormer and of CodeFormer's transformer; `None`: those of the
    /// public checkpoints, 8 (RestoreFormer++: 4).
    pub heads: Option<usize>,
    /// Of CodeFormer.
    pub codeformer: CodeFormerOptions,
}

/// What CodeFormer lets its user choose.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CodeFormerOptions {
    /// How much the generator sees of the degraded face: from 0 (only the codes, the best picture)
    /// to 1 (the most faithful one). 0.5 by default, as in its authors' program.
    pub fidelity: f32,
    /// Whether the codes get the mean and deviation of the encoder's features, channel by channel,
    /// as in its authors' program.
    pub adain: bool,
}

impl Default for CodeFormerOptions {
    fn default() -> Self {
        Self { fidelity: 0.5, adain: true }
    }
}

/// What networks with a codebook say about f16: rounding changes which codes are chosen, and
/// another code is another face.
const CODES_IN_F32: &str = "encoder and choice of codes stay in f32";

/// `w = mean + factor · (w - mean)`: nearer to the mean, more typical and less varied pictures.
#[derive(Clone, PartialEq, Debug)]
pub struct Truncation {
    /// From 0 (the mean) to 1 (unchanged).
    pub factor: f32,
    /// The mean latent.
    pub mean: Vec<f32>,
}

/// Tries one architecture: `None` when the tensors are not its.
type Recogniser = fn(&Checkpoint, &Options) -> Option<Result<Box<dyn Network>>>;

const RECOGNISERS: [Recogniser; 6] = [
    mmrbnet::recognise,
    gfpgan_clean::recognise,
    codeformer::recognise,
    restoreformer::recognise,
    stylegan2::recognise,
    srvgg::recognise,
];

/// Finds the architecture of a checkpoint from its metadata, names and shapes.
///
/// # Errors
/// [`Error::UnknownArchitecture`], or what the architecture's reader found missing.
pub fn recognise(checkpoint: &Checkpoint, options: &Options) -> Result<Box<dyn Network>> {
    RECOGNISERS.iter().find_map(|recogniser| recogniser(checkpoint, options)).unwrap_or_else(|| {
        let names: Vec<&str> = checkpoint.tensors().map(|p| p.name.as_str()).take(3).collect();
        Err(Error::UnknownArchitecture(format!(
            "{} holds tensors such as {}, which belong to none of MMRB-Net, GFPGANv1Clean, \
             CodeFormer, RestoreFormer, StyleGAN2 and SRVGGNetCompact",
            checkpoint.path().display(),
            if names.is_empty() { "none at all".to_owned() } else { names.join(", ") },
        )))
    })
}

/// The resolutions 4, 8, … up to `size`.
fn resolutions(size: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(4), |r| Some(r * 2)).take_while(move |&r| r <= size)
}
