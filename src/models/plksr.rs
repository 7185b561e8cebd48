//! PLKSR (Lee et al. 2024, *Partial Large Kernel CNNs for Efficient Super-Resolution*) and RealPLKSR,
//! which many community enlargers are: blocks of two convolutions, a large kernel on the first
//! channels, and attention per value, then pixel shuffle beside the enlarged picture. RGB in [0, 1].
//!
//! RealPLKSR differs from PLKSR in its activation and in a norm in each block. The files of either
//! with sparse kernels, and those that end with DySample, have other tensors and are refused.

use super::enlarger;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, NodeId, ops};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Groups of RealPLKSR's group norm, which no tensor tells: the published default.
const GROUPS: usize = 4;
/// ε of PyTorch's group norm.
const GROUP_EPSILON: f32 = 1e-5;
/// ε of RealPLKSR's layer norm.
const LAYER_EPSILON: f32 = 1e-6;
/// No published kernel is as large.
const LARGEST_KERNEL: usize = 63;

/// The norm of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Norm {
    /// None (PLKSR).
    Nothing,
    /// Over the channels of each pixel, before the block.
    Layer,
    /// Over a group of channels and the whole picture, after the block.
    Group,
}

#[derive(Debug)]
struct Plksr {
    channels: usize,
    blocks: usize,
    factor: usize,
    /// What the two convolutions before the large kernel are called: PLKSR has a misspelling.
    mixer: &'static str,
    /// Sides of their kernels.
    mixer_kernels: [usize; 2],
    /// Side of the large kernel.
    kernel: usize,
    /// How many of the channels it sees.
    part: usize,
    /// Whether values are weighted by a convolution of them.
    attention: bool,
    norm: Norm,
}

const REAL: &str = "channel_mixer";
const PLAIN: &str = "channe_mixer";

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let block = |part: &str| checkpoint.has_prefix(&format!("feats.1.{part}."));
    let mixer = [REAL, PLAIN].into_iter().find(|mixer| block(mixer))?;
    let known = block("lk.conv") && block("refine") && checkpoint.has_prefix("feats.0.");
    known.then(|| read(checkpoint, mixer).map(|net| Box::new(net) as Box<dyn Network>))
}

/// The side of the square kernels whose names end so, which must be odd.
fn kernel(checkpoint: &Checkpoint, suffix: &str) -> Result<usize> {
    let side = checkpoint.usual("feats.", suffix, 2)?;
    if side % 2 == 0 || side > LARGEST_KERNEL {
        let what =
            format!("has a kernel of {side} rows, expected an odd number to {LARGEST_KERNEL}");
        return Err(Error::Tensor { name: format!("feats.1{suffix}"), what });
    }
    Ok(side)
}

fn read(checkpoint: &Checkpoint, mixer: &'static str) -> Result<Plksr> {
    let channels = checkpoint.rows("feats.0.weight")?;
    let layers = checkpoint.numbered("feats.");
    // The first and the last are convolutions; RealPLKSR has a dropout before the last.
    let blocks = layers.saturating_sub(if mixer == REAL { 3 } else { 2 });
    let last = format!("feats.{}.weight", layers.saturating_sub(1));
    let factor = enlarger::shuffle_factor(checkpoint, &last, 3)?;
    let any = |part: &str| checkpoint.tensors().any(|param| param.name.contains(part));
    let norm = match mixer {
        PLAIN => Norm::Nothing,
        _ if any(".layer_norm.") => Norm::Layer,
        _ => Norm::Group,
    };
    Ok(Plksr {
        channels,
        blocks,
        factor,
        mixer,
        mixer_kernels: [
            kernel(checkpoint, &format!(".{mixer}.0.weight"))?,
            kernel(checkpoint, &format!(".{mixer}.2.weight"))?,
        ],
        kernel: kernel(checkpoint, ".lk.conv.weight")?,
        part: checkpoint.usual("feats.", ".lk.conv.bias", 0)?,
        attention: any(".attn.f.0."),
        norm,
    })
}

impl Plksr {
    /// The large kernel on the first channels of `x`.
    fn large(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let (part, channels) = (self.part, self.channels);
        let spec = ConvSpec::same(self.kernel).out(part);
        if part >= channels {
            return b.conv(x, &format!("{prefix}.lk.conv"), spec);
        }
        let seen = b.slice(x, 0, part)?;
        let rest = b.slice(x, part, channels)?;
        let y = b.conv(seen, &format!("{prefix}.lk.conv"), spec)?;
        b.add(ops::Concat, &[y, rest])
    }

    fn normed(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let weight = b.vector(x, &format!("{prefix}.weight"))?;
        let bias = b.vector(x, &format!("{prefix}.bias"))?;
        let y = match self.norm {
            Norm::Nothing => return Ok(x),
            Norm::Layer => {
                b.add_scoped(prefix, ops::LayerNorm { epsilon: LAYER_EPSILON, weight }, &[x])?
            }
            Norm::Group => {
                let norm = ops::GroupNorm { groups: GROUPS, epsilon: GROUP_EPSILON, weight };
                b.add_scoped(prefix, norm, &[x])?
            }
        };
        b.add_scoped(prefix, ops::Bias(bias), &[y])
    }

    fn block(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let (channels, mixer) = (self.channels, self.mixer);
        let mut y = x;
        if self.norm == Norm::Layer {
            y = self.normed(b, y, &format!("{prefix}.layer_norm"))?;
        }
        let [first, second] = self.mixer_kernels.map(ConvSpec::same);
        y = b.conv(y, &format!("{prefix}.{mixer}.0"), first.out(2 * channels))?;
        y = b.add(if mixer == REAL { Activation::Mish } else { Activation::Gelu }, &[y])?;
        y = b.conv(y, &format!("{prefix}.{mixer}.2"), second.out(channels))?;
        y = self.large(b, y, prefix)?;
        if self.attention {
            let spec = ConvSpec::same(3).out(channels);
            let factor = b.conv(y, &format!("{prefix}.attn.f.0"), spec)?;
            let factor = b.add(Activation::Sigmoid, &[factor])?;
            y = b.product(y, factor)?;
        }
        y = b.conv(y, &format!("{prefix}.refine"), ConvSpec::same(1).out(channels))?;
        if self.norm == Norm::Group {
            y = self.normed(b, y, &format!("{prefix}.norm"))?;
        }
        b.add(ops::Add, &[y, x])
    }
}

impl Network for Plksr {
    fn name(&self) -> &'static str {
        if self.mixer == REAL { "RealPLKSR" } else { "PLKSR" }
    }

    fn task(&self) -> Task {
        let [first, second] = self.mixer_kernels;
        let block = first / 2 + second / 2 + self.kernel / 2 + usize::from(self.attention);
        // One more for the convolutions before and behind the blocks.
        let radius = self.blocks * block + 2;
        Task::Upscale { factor: self.factor, radius, multiple: 1, align: 1 }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let norm = match self.norm {
            Norm::Nothing => "none".to_owned(),
            Norm::Layer => "layer norm".to_owned(),
            Norm::Group => format!("group norm, {GROUPS} groups (assumed)"),
        };
        vec![
            ("factor", self.factor.to_string()),
            ("channels", self.channels.to_string()),
            ("blocks", self.blocks.to_string()),
            ("large kernel", format!("{0} × {0} on {1} channels", self.kernel, self.part)),
            ("attention", if self.attention { "yes" } else { "no" }.to_owned()),
            ("norm", norm),
        ]
    }

    fn averages(&self) -> bool {
        self.norm == Norm::Group
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        enlarger::check_channels(input, 3)?;
        let mut b = Builder::new(checkpoint);
        let picture = b.graph.add_input("picture", input);
        let mut y = b.conv(picture, "feats.0", ConvSpec::same(3).out(self.channels))?;
        for block in 1..=self.blocks {
            y = self.block(&mut b, y, &format!("feats.{block}"))?;
        }
        let last = self.blocks + if self.mixer == REAL { 2 } else { 1 };
        let spec = ConvSpec::same(3).out(3 * self.factor * self.factor);
        y = b.conv(y, &format!("feats.{last}"), spec)?;
        let (y, base) = match self.factor {
            1 => (y, picture),
            factor => (b.add(ops::PixelShuffle(factor), &[y])?, b.nearest(picture, factor)?),
        };
        let y = b.add(ops::Add, &[y, base])?;
        Ok(b.finish(y))
    }
}
