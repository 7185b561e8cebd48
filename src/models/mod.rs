//! Architectures: how to recognise one in a checkpoint, read its hyper-parameters off the tensors,
//! and build its graph. One file each; nothing else knows any of it.

mod account;
pub mod bisenet;
mod channels;
mod codeformer;
mod dat;
mod detection;
mod enlarger;
mod gfpgan;
mod gpen;
mod hat;
mod mmrbnet;
mod nafnet;
mod omnisr;
pub mod parsenet;
mod plksr;
mod published;
mod realcugan;
mod relatives;
mod restoreformer;
pub mod retinaface;
mod rrdbnet;
mod scunet;
mod span;
mod srvgg;
mod stylegan2;
mod swinir;
mod yunet;

use crate::checkpoint::Checkpoint;
use crate::graph::Graph;
use crate::nn::stylegan2::Resample;
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

pub(crate) use account::account;
pub use detection::Detection;
pub use mmrbnet::{Inject, MmrbNet};
pub use published::{PUBLISHED, Published, published};

/// The task of a network.
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
        /// Parts of a picture that begin at multiples of this give what the whole picture gives
        /// there: the network's windows and halvings fall on the same pixels. A multiple of
        /// `multiple`.
        align: usize,
    },
    /// A latent vector becomes a picture.
    Generate {
        /// Length of the vector.
        latent: usize,
        /// Side of the picture in pixels.
        size: usize,
    },
    /// An aligned face becomes logits of what each of its pixels shows.
    Parse {
        /// Side of the face in pixels.
        size: usize,
        /// Channels of the result.
        classes: usize,
    },
    /// Finds the faces in any picture, with five landmarks each.
    Detect {
        /// Height and width of the input must be multiples of this.
        multiple: usize,
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

    /// The shape of a single input of `height × width` pixels; sizes that the network fixes win.
    fn input_shape(&self, height: usize, width: usize) -> Shape {
        match self.task() {
            Task::RestoreFace { size } => Shape::new(1, 3, size, size),
            Task::Upscale { .. } => Shape::new(1, 3, height, width),
            Task::Generate { latent, .. } => Shape::vector(1, latent),
            Task::Parse { size, .. } => Shape::new(1, 3, size, size),
            Task::Detect { multiple } => {
                let [height, width] = [height, width].map(|n| n.next_multiple_of(multiple));
                Shape::new(1, 3, height, width)
            }
        }
    }

    /// What a detector's outputs for one picture of shape `input` say: every candidate whose score
    /// is above `threshold`, overlapping ones included.
    ///
    /// # Errors
    /// [`Error::Input`] when it is not a detector or the outputs are not of such a picture.
    fn detections(
        &self,
        _input: Shape,
        _outputs: &[Vec<f32>],
        _threshold: f32,
    ) -> Result<Vec<Detection>> {
        Err(Error::Input(format!("{} finds no faces", self.name())))
    }

    /// Of a parser: which of its classes belong to the face, hair and earrings included; not the
    /// background, hat, necklace, neck and clothes. `None` where the classes are not known.
    fn face_classes(&self) -> Option<&'static [bool]> {
        None
    }

    /// Whether the network averages over its whole input: then parts of a picture never give
    /// exactly what the whole picture gives.
    fn averages(&self) -> bool {
        false
    }

    /// Names of the graph's outputs, in order. The first is what the network is for.
    fn outputs(&self) -> &'static [&'static str] {
        &["output"]
    }

    /// Patterns, as [`pentimento_convert::matches`] reads them, of the tensors that published files
    /// of this network hold and no graph reads: branches of the training, layers that the picture
    /// does not pass. A file with any other tensor that is not read is refused.
    fn training_only(&self) -> Vec<String> {
        Vec::new()
    }

    /// The graph that reads every tensor which this network can read.
    ///
    /// # Errors
    /// As [`Network::build`].
    fn build_whole(&self, checkpoint: &Checkpoint) -> Result<Graph> {
        self.build(checkpoint, self.input_shape(64, 64))
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
    /// How GFPGAN with equalised layers and BasicSR's StyleGAN2 resample; `None`: FIR (GFPGANv1),
    /// not bilinear (GFPGANBilinear). The tensors of both have the same names and shapes.
    pub resample: Option<Resample>,
    /// The slope of SRVGGNetCompact's leaky ReLU where there are no PReLU tensors, 0 for ReLU;
    /// `None`: 0.1.
    pub slope: Option<f32>,
    /// Whether graphs also yield what no task needs: ParseNet's picture, BiSeNet's coarse maps.
    pub auxiliary: bool,
    /// Attention heads of RestoreFormer and of CodeFormer's transformer; `None`: those of the
    /// public checkpoints, 8 (RestoreFormer++: 4).
    pub heads: Option<usize>,
    /// Of CodeFormer.
    pub codeformer: CodeFormerOptions,
    /// The values of GPEN's pictures; `None`: from -1 to 1, as of all but its network that paints
    /// faces from their segmentation.
    pub range: Option<ValueRange>,
}

/// Between which values a network's pictures lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueRange {
    /// From -1 to 1.
    Signed,
    /// From 0 to 1.
    Unit,
}

/// The choices that CodeFormer leaves to its user.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct CodeFormerOptions {
    /// How much the generator sees of the degraded face: from 0 (only the codes, the best picture)
    /// to 1 (the most faithful one). `None`: as in its authors' programs 0.5; 1 where the file is of
    /// the network that fills holes, 0 of the one that colours.
    pub fidelity: Option<f32>,
    /// Whether the codes get the mean and deviation of the encoder's features, channel by channel.
    /// `None`: as in its authors' programs they do, but where the file is of the network that fills
    /// holes.
    pub adain: Option<bool>,
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

const RECOGNISERS: &[Recogniser] = &[
    mmrbnet::recognise,
    gfpgan::recognise,
    codeformer::recognise,
    restoreformer::recognise,
    stylegan2::recognise,
    srvgg::recognise,
    rrdbnet::recognise,
    span::recognise,
    realcugan::recognise,
    hat::recognise,
    swinir::recognise,
    dat::recognise,
    scunet::recognise,
    nafnet::recognise,
    omnisr::recognise,
    plksr::recognise,
    gpen::recognise,
    parsenet::recognise,
    bisenet::recognise,
    retinaface::recognise,
    yunet::recognise,
];

/// Finds the architecture of a checkpoint from its metadata, names and shapes.
///
/// # Errors
/// [`Error::UnknownArchitecture`], or what the architecture's reader found missing.
pub fn recognise(checkpoint: &Checkpoint, options: &Options) -> Result<Box<dyn Network>> {
    RECOGNISERS.iter().find_map(|recogniser| recogniser(checkpoint, options)).unwrap_or_else(|| {
        if let Some(relative) = relatives::relative(checkpoint) {
            return Err(relative.refusal(checkpoint));
        }
        let names: Vec<String> =
            checkpoint.names().take(3).map(pentimento_convert::short).collect();
        Err(Error::UnknownArchitecture(format!(
            "{} holds tensors such as {}, which belong to none of MMRB-Net, GFPGAN, CodeFormer, \
             RestoreFormer, StyleGAN2, SRVGGNetCompact, RRDBNet, SPAN, Real-CUGAN, HAT, \
             SwinIR, DAT, SCUNet, NAFNet, OmniSR, PLKSR, RealPLKSR, GPEN, ParseNet, BiSeNet, \
             RetinaFace and YuNet",
            checkpoint.path().display(),
            if names.is_empty() { "none at all".to_owned() } else { names.join(", ") },
        )))
    })
}

/// Heads of attention that the file's metadata name: the converter finds them in ONNX files.
fn stated_heads(checkpoint: &Checkpoint) -> Option<usize> {
    const MOST: usize = 1024;
    let heads = checkpoint.metadata("heads")?.parse().ok();
    heads.filter(|heads| (1..=MOST).contains(heads))
}

/// The resolutions 4, 8, … up to `size`.
fn resolutions(size: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(4), |r| Some(r * 2)).take_while(move |&r| r <= size)
}
