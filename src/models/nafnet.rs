//! NAFNet (Chen et al. 2022, *Simple Baselines for Image Restoration*): a U-Net of blocks without
//! activation functions, in whose place halves of the channels are multiplied. RGB in [0, 1]; it
//! denoises or deblurs, so the size stays.
//!
//! Its channel attention averages over all of the picture: in tiles, over each tile.

use super::enlarger;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, Padding, ops};
use crate::nn::border::{crop_to, zeros_to_multiple};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// What its layer norms add to variances.
const EPSILON: f32 = 1e-6;

#[derive(Debug)]
struct NafNet {
    channels: usize,
    /// Blocks of each level on the way down, from the top.
    down: Vec<usize>,
    /// Blocks at the bottom.
    bottom: usize,
    /// Blocks of each level on the way up, from the bottom.
    up: Vec<usize>,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let blocks = checkpoint.has_prefix("middle_blks.0.sca.");
    let ends = checkpoint.contains("intro.weight") || checkpoint.contains("ending.weight");
    // KBNet, whose blocks have these too.
    let kernels = checkpoint.contains("encoders.0.0.attgamma");
    (blocks && ends && !kernels)
        .then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<NafNet> {
    enlarger::check_rgb(checkpoint, "intro.weight", "NAFNet")?;
    let channels = checkpoint.rows("intro.weight")?;
    let levels = checkpoint.numbered("downs.").max(checkpoint.numbered("ups."));
    if levels >= 16 {
        let what = format!("is one of {levels} halvings, expected less than 16");
        return Err(Error::Tensor { name: "downs.0.weight".to_owned(), what });
    }
    let blocks = |part: &str| -> Vec<usize> {
        (0..levels).map(|level| checkpoint.numbered(&format!("{part}.{level}."))).collect()
    };
    let (down, up) = (blocks("encoders"), blocks("decoders"));
    Ok(NafNet { channels, down, bottom: checkpoint.numbered("middle_blks."), up })
}

fn norm(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let weight = b.vector(x, &format!("{prefix}.weight"))?;
    let y = b.add(ops::LayerNorm { epsilon: EPSILON, weight }, &[x])?;
    let bias = b.vector(y, &format!("{prefix}.bias"))?;
    b.add(ops::Bias(bias), &[y])
}

/// The first half of the channels times the second.
fn gate(b: &mut Builder, x: NodeId) -> Result<NodeId> {
    let half = b.shape(x).c / 2;
    let (first, second) = (b.slice(x, 0, half)?, b.slice(x, half, 2 * half)?);
    b.product(first, second)
}

/// `x` plus the 1×1 convolution of `y` at `conv`, times the factor per channel at `factor`.
fn joined(b: &mut Builder, x: NodeId, y: NodeId, conv: &str, factor: &str) -> Result<NodeId> {
    let (inner, out) = (b.shape(y).c, b.shape(x).c);
    let [weight_name, bias_name] = ["weight", "bias"].map(|part| format!("{conv}.{part}"));
    let mut weight = b.weight_values(y, &weight_name, &[out, inner, 1, 1])?;
    let mut bias = b.weight_values(y, &bias_name, &[out])?;
    let factors = b.weight_values(y, factor, &[1, out, 1, 1])?;
    for (row, factor) in weight.chunks_exact_mut(inner.max(1)).zip(&factors) {
        row.iter_mut().for_each(|w| *w *= factor);
    }
    bias.iter_mut().zip(&factors).for_each(|(bias, factor)| *bias *= factor);
    let weight = b.computed(&weight_name, vec![out, inner, 1, 1], &weight);
    let bias = b.computed(&bias_name, vec![out], &bias);
    let y = b.convolve(y, &weight_name, weight, ConvSpec::same(1))?;
    let y = b.add_scoped(&weight_name, ops::Bias(bias), &[y])?;
    b.add(ops::Add, &[y, x])
}

fn block(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let name = |part: &str| format!("{prefix}.{part}");
    let y = norm(b, x, &name("norm1"))?;
    let y = b.conv(y, &name("conv1"), ConvSpec::same(1))?;
    let wide = b.shape(y).c;
    let each = ConvSpec { groups: wide, ..ConvSpec::same(3).out(wide) };
    let y = b.conv(y, &name("conv2"), each)?;
    let y = gate(b, y)?;
    let mean = b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[y])?;
    let factor = b.conv(mean, &name("sca.1"), ConvSpec::same(1).out(b.shape(y).c))?;
    let y = b.add(ops::ScaleChannels, &[y, factor])?;
    let x = joined(b, x, y, &name("conv3"), &name("beta"))?;
    let y = norm(b, x, &name("norm2"))?;
    let y = b.conv(y, &name("conv4"), ConvSpec::same(1))?;
    let y = gate(b, y)?;
    joined(b, x, y, &name("conv5"), &name("gamma"))
}

fn blocks(b: &mut Builder, mut x: NodeId, prefix: &str, count: usize) -> Result<NodeId> {
    for i in 0..count {
        x = block(b, x, &format!("{prefix}.{i}"))?;
    }
    Ok(x)
}

impl NafNet {
    /// Sides are filled up to multiples of this.
    fn multiple(&self) -> usize {
        1 << self.down.len()
    }
}

impl Network for NafNet {
    fn name(&self) -> &'static str {
        "NAFNet"
    }

    fn task(&self) -> Task {
        // One 3×3 convolution a block; two at the ends, and the halvings.
        let sides = self.down.iter().zip(self.up.iter().rev()).enumerate();
        let seen: usize = sides.map(|(level, (down, up))| (down + up) << level).sum();
        let multiple = self.multiple();
        let radius = seen + self.bottom * multiple + 2 + multiple;
        Task::Upscale { factor: 1, radius, multiple: 1, align: multiple }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let list = |counts: &[usize]| -> String {
            counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
        };
        vec![
            ("channels", self.channels.to_string()),
            ("blocks down", list(&self.down)),
            ("blocks at the bottom", self.bottom.to_string()),
            ("blocks up", list(&self.up)),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn averages(&self) -> bool {
        true
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        enlarger::check_channels(input, 3)?;
        let mut b = Builder::new(checkpoint);
        let picture = b.graph.add_input("picture", input);
        let picture = zeros_to_multiple(&mut b, picture, self.multiple())?;
        let mut x = b.conv(picture, "intro", ConvSpec::same(3).out(self.channels))?;
        let mut skips = Vec::new();
        for (level, count) in self.down.iter().enumerate() {
            x = blocks(&mut b, x, &format!("encoders.{level}"), *count)?;
            skips.push(x);
            let out = 2 * b.shape(x).c;
            let halving =
                ConvSpec { stride: 2, padding: Padding::all(0), ..ConvSpec::same(2).out(out) };
            x = b.conv(x, &format!("downs.{level}"), halving)?;
        }
        x = blocks(&mut b, x, "middle_blks", self.bottom)?;
        for (level, count) in self.up.iter().enumerate() {
            let spec = ConvSpec::same(1).out(2 * b.shape(x).c).without_bias();
            x = b.conv(x, &format!("ups.{level}.0"), spec)?;
            x = b.add(ops::PixelShuffle(2), &[x])?;
            if let Some(skip) = skips.pop() {
                x = b.add(ops::Add, &[x, skip])?;
            }
            x = blocks(&mut b, x, &format!("decoders.{level}"), *count)?;
        }
        let y = b.conv(x, "ending", ConvSpec::same(3).out(3))?;
        let y = b.add(ops::Add, &[y, picture])?;
        let y = crop_to(&mut b, y, input.h, input.w)?;
        Ok(b.finish(y))
    }
}
