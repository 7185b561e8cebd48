//! SPAN (Wan et al. 2023, *Swift Parameter-free Attention Network*): six blocks of three 3×3
//! convolutions, each block weighted by an odd function of its own last convolution, then pixel
//! shuffle. RGB in [0, 1].
//!
//! Each convolution was trained as three (1×1, 3×3, 1×1) beside a 1×1 one; all four are linear, so
//! their sum is one 3×3 convolution. Files hold the four, the sum (`eval_conv`), or both. The sum
//! is taken from the four where they are there, as the published network does.

use super::enlarger::{self, DIV2K_MEAN};
use super::{Network, Options, Task};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, NodeId, ops};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;

const BLOCKS: usize = 6;
/// How much wider the trained convolutions are inside.
const GAIN: usize = 2;
/// What pictures in [0, 1] are multiplied by where they are normalised.
const RANGE: f32 = 255.0;

#[derive(Debug)]
struct Span {
    channels: usize,
    factor: usize,
    /// Whether the mean colour is subtracted; files without say so by a tensor `no_norm`.
    normalised: bool,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let block = checkpoint.has_prefix("block_1.c1_r.");
    let ends = checkpoint.contains("conv_cat.weight") || checkpoint.contains("upsampler.0.weight");
    (block && ends).then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<Span> {
    let first = ["conv_1.sk.weight", "conv_1.eval_conv.weight"];
    if let Some(first) = first.into_iter().find(|name| checkpoint.contains(name)) {
        enlarger::check_rgb(checkpoint, first, "SPAN")?;
    }
    let channels = checkpoint.usual("block_", ".eval_conv.bias", 0);
    let channels = channels.or_else(|_| checkpoint.usual("block_", ".sk.bias", 0))?;
    let factor = enlarger::shuffle_factor(checkpoint, "upsampler.0.weight", 3)?;
    let normalised = !checkpoint.contains("no_norm");
    Ok(Span { channels, factor, normalised })
}

/// Weight `[out, inputs, 3, 3]` and bias `[out]` of the one convolution that those at `prefix` are.
fn merged(
    checkpoint: &Checkpoint,
    prefix: &str,
    [inputs, out]: [usize; 2],
) -> Result<[Vec<f32>; 2]> {
    let values = |name: &str, dims: &[usize]| -> Result<Vec<f64>> {
        let param = checkpoint.require(&format!("{prefix}.{name}"), dims)?;
        Ok(param.to_f32().iter().map(|&v| f64::from(v)).collect())
    };
    let (wide_in, wide_out) = (GAIN * inputs, GAIN * out);
    let first = values("conv.0.weight", &[wide_in, inputs, 1, 1])?;
    let first_bias = values("conv.0.bias", &[wide_in])?;
    let middle = values("conv.1.weight", &[wide_out, wide_in, 3, 3])?;
    let middle_bias = values("conv.1.bias", &[wide_out])?;
    let last = values("conv.2.weight", &[out, wide_out, 1, 1])?;
    let last_bias = values("conv.2.bias", &[out])?;
    let skip = values("sk.weight", &[out, inputs, 1, 1])?;
    let skip_bias = values("sk.bias", &[out])?;

    // last · middle, then times first: [out, wide_in, 9] and [out, inputs, 9].
    let mut outer = vec![0.0; out * wide_in * 9];
    let mut bias: Vec<f64> = last_bias.iter().zip(&skip_bias).map(|(a, b)| a + b).collect();
    for o in 0..out {
        let sums = &mut outer[o * wide_in * 9..][..wide_in * 9];
        for n in 0..wide_out {
            let factor = last[o * wide_out + n];
            for (sum, w) in sums.iter_mut().zip(&middle[n * wide_in * 9..][..wide_in * 9]) {
                *sum += factor * w;
            }
            bias[o] += factor * middle_bias[n];
        }
        for (taps, b) in sums.chunks_exact(9).zip(&first_bias) {
            bias[o] += b * taps.iter().sum::<f64>();
        }
    }
    let mut weight = vec![0.0; out * inputs * 9];
    for o in 0..out {
        for i in 0..inputs {
            let taps = &mut weight[(o * inputs + i) * 9..][..9];
            for m in 0..wide_in {
                let factor = first[m * inputs + i];
                for (tap, w) in taps.iter_mut().zip(&outer[(o * wide_in + m) * 9..][..9]) {
                    *tap += factor * w;
                }
            }
            taps[4] += skip[o * inputs + i];
        }
    }
    Ok([weight, bias].map(|values| values.into_iter().map(|v| v as f32).collect()))
}

/// The convolution at `prefix`, to `out` channels.
fn conv(b: &mut Builder, x: NodeId, prefix: &str, out: usize) -> Result<NodeId> {
    let apart = ["conv.0.weight", "conv.1.weight", "conv.2.weight"];
    let apart = apart.iter().any(|name| b.checkpoint().contains(&format!("{prefix}.{name}")));
    if !apart {
        return b.conv(x, &format!("{prefix}.eval_conv"), ConvSpec::same(3).out(out));
    }
    let inputs = b.shape(x).c;
    let merged = merged(b.checkpoint(), prefix, [inputs, out]).map_err(|e| b.after(x, e));
    let [weight, bias] = merged?;
    let weight = b.computed(&format!("{prefix}.weight"), vec![out, inputs, 3, 3], &weight);
    let bias = b.computed(&format!("{prefix}.bias"), vec![out], &bias);
    let y = b.convolve(x, prefix, weight, ConvSpec::same(3))?;
    b.add_scoped(prefix, ops::Bias(bias), &[y])
}

impl Span {
    /// A block's result, and what its first convolution and the activation after it gave: the
    /// published network activates in place.
    fn block(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<[NodeId; 2]> {
        let y = conv(b, x, &format!("{prefix}.c1_r"), self.channels)?;
        let first = b.add(Activation::Silu, &[y])?;
        let y = conv(b, first, &format!("{prefix}.c2_r"), self.channels)?;
        let y = b.add(Activation::Silu, &[y])?;
        let y = conv(b, y, &format!("{prefix}.c3_r"), self.channels)?;
        let sum = b.add(ops::Add, &[y, x])?;
        // sigmoid(y) - ½ = ½·tanh(y/2), whose small values keep their digits in f16.
        let half = b.add(ops::Scale(0.5), &[y])?;
        let odd = b.add(Activation::Tanh, &[half])?;
        let weight = b.add(ops::Scale(0.5), &[odd])?;
        Ok([b.product(weight, sum)?, first])
    }
}

impl Network for Span {
    fn name(&self) -> &'static str {
        "SPAN"
    }

    fn task(&self) -> Task {
        // 3×3 convolutions: three a block, one before, two after the blocks.
        let radius = 3 * BLOCKS + 3;
        Task::Upscale { factor: self.factor, radius, multiple: 1, align: 1 }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("factor", self.factor.to_string()),
            ("channels", self.channels.to_string()),
            ("normalised", if self.normalised { "yes" } else { "no" }.to_owned()),
        ]
    }

    /// What the trained convolutions are merged to, and the mark of pictures as they are.
    fn training_only(&self) -> Vec<String> {
        // Of these blocks alone: a network with more of them is another.
        let blocks =
            (1..=BLOCKS).flat_map(|block| [1, 2, 3].map(|i| format!("block_{block}.c{i}_r")));
        let convs = blocks.chain(["conv_1", "conv_2"].map(str::to_owned));
        let sums =
            convs.flat_map(|conv| ["weight", "bias"].map(|of| format!("{conv}.eval_conv.{of}")));
        sums.chain(["no_norm".to_owned()]).collect()
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        enlarger::check_channels(input, 3)?;
        let mut b = Builder::new(checkpoint);
        let mut x = b.graph.add_input("picture", input);
        if self.normalised {
            x = enlarger::shifted(&mut b, x, &DIV2K_MEAN.map(|v| -v), RANGE)?;
        }
        let first = conv(&mut b, x, "conv_1", self.channels)?;
        let (mut y, mut results, mut inner) = (first, Vec::new(), first);
        for block in 1..=BLOCKS {
            [y, inner] = self.block(&mut b, y, &format!("block_{block}"))?;
            results.push(y);
        }
        let y = conv(&mut b, y, "conv_2", self.channels)?;
        // What the last block's first convolution gave stands for the fifth block.
        let all = b.add(ops::Concat, &[first, y, results[0], inner])?;
        let y = b.conv(all, "conv_cat", ConvSpec::same(1).out(self.channels))?;
        let out = 3 * self.factor * self.factor;
        let y = b.conv(y, "upsampler.0", ConvSpec::same(3).out(out))?;
        let y = b.add(ops::PixelShuffle(self.factor), &[y])?;
        Ok(b.finish(y))
    }
}
