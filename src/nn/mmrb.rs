//! The mixed multi-path residual block of Hu et al. 2022 (arXiv 2205.14377).
//!
//! ```text
//! s1_p = lrelu(conv_p(x))
//! m    = concat(s1_1 … s1_P) | s1_1 + … + s1_P | s1_p
//! s2_p = lrelu(conv'_p(m))
//! y    = conv1×1(concat(s2_1 … s2_P)) + skip(x)
//! ```

use serde::{Deserialize, Serialize};

use super::{Builder, ConvSpec};
use crate::Result;
use crate::graph::{NodeId, Path, ops};

/// Kernel of one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathSpec {
    /// Side, odd.
    pub kernel: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
}

/// The input of a path of the second stage, made of the first stage's outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mix {
    /// All paths, concatenated.
    Concat,
    /// The sum of all paths.
    Sum,
    /// Only its own.
    None,
}

/// An MMRB's hyper-parameters.
#[derive(Clone, PartialEq, Debug)]
pub struct Mmrb<'s> {
    /// Paths of either stage.
    pub paths: &'s [PathSpec],
    /// The input of stage two.
    pub mix: Mix,
    /// Channels of one path.
    pub path_channels: usize,
    /// Of every leaky ReLU.
    pub slope: f32,
    /// Whether the result passes a leaky ReLU.
    pub fuse_activation: bool,
}

/// One MMRB with tensors `{prefix}stage1.{p}`, `stage2.{p}`, `fuse`, `skip`; yields
/// `out` channels at the size of `x`.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn mmrb(b: &mut Builder, x: NodeId, prefix: &str, block: &Mmrb, out: usize) -> Result<NodeId> {
    let count = block.paths.len();
    let width = block.path_channels;
    let channels = b.shape(x).c;
    let first = stage(b, x, &format!("{prefix}stage1"), block, |_| (0, channels))?;
    let second = format!("{prefix}stage2");
    let mixed = match block.mix {
        Mix::Concat => stage(b, first, &second, block, |_| (0, count * width))?,
        Mix::None => stage(b, first, &second, block, |p| (p * width, width))?,
        Mix::Sum => {
            let mut sum = b.slice(first, 0, width)?;
            for p in 1..count {
                let path = b.slice(first, p * width, (p + 1) * width)?;
                sum = b.add(ops::Add, &[sum, path])?;
            }
            stage(b, sum, &second, block, |_| (0, width))?
        }
    };
    let skip = if channels == out {
        x
    } else {
        let spec = ConvSpec::same(1).out(out).without_bias();
        b.conv(x, &format!("{prefix}skip"), spec)?
    };
    let y = b.conv(mixed, &format!("{prefix}fuse"), ConvSpec::same(1).out(out))?;
    let y = b.add(ops::Add, &[y, skip])?;
    if block.fuse_activation { b.leaky_relu(y, block.slope) } else { Ok(y) }
}

/// One stage: every path's convolution, bias and leaky ReLU, concatenated. `sees` gives the first
/// channel and the number of channels that a path reads.
fn stage(
    b: &mut Builder,
    x: NodeId,
    prefix: &str,
    block: &Mmrb,
    sees: impl Fn(usize) -> (usize, usize),
) -> Result<NodeId> {
    let width = block.path_channels;
    let mut paths = Vec::with_capacity(block.paths.len());
    let mut biases = Vec::with_capacity(block.paths.len() * width);
    for (p, spec) in block.paths.iter().enumerate() {
        let (first_channel, channels) = sees(p);
        let dims = [width, channels / spec.groups, spec.kernel, spec.kernel];
        let weight = b.param(&format!("{prefix}.{p}.weight"), &dims, 1.0)?;
        let bias = b.checkpoint().require(&format!("{prefix}.{p}.bias"), &[width])?;
        biases.extend(bias.to_f32());
        paths.push(Path {
            weight,
            first_channel,
            channels,
            dilation: spec.dilation,
            groups: spec.groups,
        });
    }
    let bias = b.computed(&format!("{prefix}.bias"), vec![biases.len()], &biases);
    let y = b.graph.scoped(prefix, |graph| graph.add(ops::MultiPathConv(paths), &[x]))?;
    let y = b.add(ops::Bias(bias), &[y])?;
    b.leaky_relu(y, block.slope)
}
