//! Blocks of ResNet (K. He et al. 2015, arXiv 1512.03385) in torchvision's version 1.5, which halves
//! in the 3×3 convolution, under torchvision's names.

use super::batch_norm::Normalised;
use super::{Builder, ConvSpec};
use crate::Result;
use crate::graph::{NodeId, ops};

/// 7×7 convolution with stride 2, then the largest of each 3×3 window, with stride 2.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn stem(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let names = Normalised { conv: &format!("{prefix}conv1"), norm: &format!("{prefix}bn1") };
    let spec = ConvSpec { stride: 2, ..ConvSpec::same(7).without_bias() };
    let y = b.conv_norm(x, names, spec)?;
    let y = b.leaky_relu(y, 0.0)?;
    b.add(ops::MaxPool2d { kernel: 3, stride: 2, padding: 1 }, &[y])
}

/// Two 3×3 convolutions.
const BASIC: &[usize] = &[3, 3];
/// 1×1, 3×3, 1×1.
const BOTTLENECK: &[usize] = &[1, 3, 1];

/// All blocks of `{prefix}layer{number}`, the first of which halves, except in layer 1.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn layer(b: &mut Builder, mut x: NodeId, prefix: &str, number: usize) -> Result<NodeId> {
    let name = format!("{prefix}layer{number}.");
    // Seen in any block, so that one tensor that is missing is missed.
    let third = |p: &crate::graph::Param| p.name.starts_with(&name) && p.name.contains(".conv3.");
    let kernels = if b.checkpoint().tensors().any(third) { BOTTLENECK } else { BASIC };
    for block in 0..b.checkpoint().numbered(&name) {
        let stride = if block == 0 && number > 1 { 2 } else { 1 };
        x = residual(b, x, &format!("{name}{block}"), kernels, stride)?;
    }
    Ok(x)
}

/// `relu(convolutions(x) + x)`, with a 1×1 convolution of `x` where its shape changes.
fn residual(
    b: &mut Builder,
    x: NodeId,
    name: &str,
    kernels: &[usize],
    stride: usize,
) -> Result<NodeId> {
    let down = format!("{name}.downsample");
    let prefix = format!("{down}.");
    let shortcut = if stride > 1 || b.checkpoint().has_prefix(&prefix) {
        let names = Normalised { conv: &format!("{down}.0"), norm: &format!("{down}.1") };
        b.conv_norm(x, names, ConvSpec { stride, ..ConvSpec::same(1).without_bias() })?
    } else {
        x
    };
    let mut y = x;
    for (i, &kernel) in kernels.iter().enumerate() {
        let last = i + 1 == kernels.len();
        let (conv, norm) = (format!("{name}.conv{}", i + 1), format!("{name}.bn{}", i + 1));
        // In a bottleneck the 3×3 convolution halves, in a basic block the first.
        let stride = if kernel == 3 && b.shape(y).h == b.shape(x).h { stride } else { 1 };
        let out = last.then(|| b.shape(shortcut).c);
        let spec = ConvSpec { out, stride, ..ConvSpec::same(kernel).without_bias() };
        y = b.conv_norm(y, Normalised { conv: &conv, norm: &norm }, spec)?;
        if !last {
            y = b.leaky_relu(y, 0.0)?;
        }
    }
    let sum = b.add(ops::Add, &[y, shortcut])?;
    b.leaky_relu(sum, 0.0)
}
