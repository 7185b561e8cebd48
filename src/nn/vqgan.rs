//! Blocks of VQGAN (Esser et al. 2021), from which RestoreFormer and CodeFormer are made.

use super::{Builder, ConvSpec};
use crate::Result;
use crate::graph::{Activation, Conv2d, NodeId, Padding, ops};

/// Groups of every group norm.
pub const GROUPS: usize = 32;
/// What every group norm adds to the variance.
const EPSILON: f32 = 1e-6;

/// Group norm with `{prefix}.weight` and `{prefix}.bias`.
///
/// # Errors
/// When a tensor is missing or misshapen, or the channels are not a multiple of 32.
pub fn group_norm(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let weight = b.param(&format!("{prefix}.weight"), &[channels], 1.0)?;
    let bias = b.param(&format!("{prefix}.bias"), &[channels], 1.0)?;
    b.graph.scoped(prefix, |graph| {
        let norm = ops::GroupNorm { groups: GROUPS, epsilon: EPSILON, weight };
        let y = graph.add(norm, &[x])?;
        Ok(graph.add(ops::Bias(bias), &[y])?)
    })
}

/// Group norm, then `v · sigmoid(v)`.
///
/// # Errors
/// As [`group_norm`].
pub fn norm_swish(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let y = group_norm(b, x, prefix)?;
    b.add(Activation::Silu, &[y])
}

/// `conv2(swish(norm2(conv1(swish(norm1(x)))))) + x`, where `x` passes through the 1×1 convolution
/// `{prefix}.{shortcut}` when the channels change.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn res_block(b: &mut Builder, x: NodeId, prefix: &str, shortcut: &str) -> Result<NodeId> {
    let y = norm_swish(b, x, &format!("{prefix}.norm1"))?;
    let y = b.conv(y, &format!("{prefix}.conv1"), ConvSpec::same(3))?;
    let out = b.shape(y).c;
    let skip = match out == b.shape(x).c {
        true => x,
        false => b.conv(x, &format!("{prefix}.{shortcut}"), ConvSpec::same(1).out(out))?,
    };
    let y = norm_swish(b, y, &format!("{prefix}.norm2"))?;
    let y = b.conv(y, &format!("{prefix}.conv2"), ConvSpec::same(3).out(out))?;
    b.add(ops::Add, &[y, skip])
}

/// `x + proj_out(attention(q(query), k(x'), v(x')))` with `x'` the group norm `{prefix}.{norm}` of
/// `x`; the query is that too, or the group norm `{prefix}.{1}` of the tensor `{0}` when given.
///
/// # Errors
/// When a tensor is missing or misshapen, or the channels are not a multiple of `heads`.
pub fn attention(
    b: &mut Builder,
    x: NodeId,
    prefix: &str,
    norm: &str,
    query: Option<(NodeId, &str)>,
    heads: usize,
) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let normed = group_norm(b, x, &format!("{prefix}.{norm}"))?;
    let query = match query {
        Some((y, norm)) => group_norm(b, y, &format!("{prefix}.{norm}"))?,
        None => normed,
    };
    let mut project =
        |y, name| b.conv(y, &format!("{prefix}.{name}"), ConvSpec::same(1).out(channels));
    let (q, k, v) = (project(query, "q")?, project(normed, "k")?, project(normed, "v")?);
    let y = b.graph.scoped(prefix, |graph| graph.add(ops::Attention { heads }, &[q, k, v]))?;
    let y = b.conv(y, &format!("{prefix}.proj_out"), ConvSpec::same(1).out(channels))?;
    b.add(ops::Add, &[y, x])
}

/// Half the size: a row and a column of zeros below and right, then the 3×3 convolution
/// `{prefix}.conv` at stride 2.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn downsample(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let c = b.shape(x).c;
    let weight = b.param(&format!("{prefix}.conv.weight"), &[c, c, 3, 3], 1.0)?;
    let bias = b.param(&format!("{prefix}.conv.bias"), &[c], 1.0)?;
    let conv = Conv2d { stride: 2, padding: Padding::pair(0, 1), ..Conv2d::same(weight, 3) };
    b.graph.scoped(prefix, |graph| {
        let y = graph.add(conv, &[x])?;
        Ok(graph.add(ops::Bias(bias), &[y])?)
    })
}

/// Twice the size: each pixel twice, then the 3×3 convolution `{prefix}.conv`.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn upsample(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let y = b.nearest(x, 2)?;
    b.conv(y, &format!("{prefix}.conv"), ConvSpec::same(3).out(b.shape(x).c))
}

/// CodeFormer's controllable feature transform: `decoder + w · (decoder · scale(e) + shift(e))`
/// with `e` the [`res_block`] `{prefix}.encode_enc` of both concatenated, scale and shift two 3×3
/// convolutions each, and `w` the fidelity.
///
/// It is computed as `decoder · (1 + w · scale(e)) + w · shift(e)`, with the factors in the last
/// convolutions.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn fuse(
    b: &mut Builder,
    encoder: NodeId,
    decoder: NodeId,
    prefix: &str,
    fidelity: f32,
) -> Result<NodeId> {
    let channels = b.shape(decoder).c;
    let both = b.add(ops::Concat, &[encoder, decoder])?;
    let e = res_block(b, both, &format!("{prefix}.encode_enc"), "conv_out")?;
    let mut condition = |name: &str, summand: f32| {
        let name = format!("{prefix}.{name}");
        let y = b.conv(e, &format!("{name}.0"), ConvSpec::same(3).out(channels))?;
        let y = b.leaky_relu(y, 0.2)?;
        let last = format!("{name}.2");
        let weight = b.param(&format!("{last}.weight"), &[channels, channels, 3, 3], fidelity)?;
        let bias = b.param(&format!("{last}.bias"), &[channels], fidelity)?;
        let values = b.graph.param(bias).to_f32();
        let values: Vec<f32> = values.iter().map(|v| v + summand).collect();
        let bias = b.computed(&format!("{last}.bias"), vec![channels], &values);
        b.graph.scoped(last, |graph| {
            let y = graph.add(Conv2d::same(weight, 3), &[y])?;
            Ok::<_, crate::Error>(graph.add(ops::Bias(bias), &[y])?)
        })
    };
    let (scale, shift) = (condition("scale", 1.0)?, condition("shift", 0.0)?);
    b.add(ops::Sft { first_channel: 0 }, &[decoder, scale, shift])
}

/// The row of the codebook `name` `[K, C]` that is nearest to each pixel, the first of equally
/// near ones. Returns its number `[N, 1, H, W]` and the row.
///
/// `|z - e|² = |z|² - 2 (z·e - |e|²/2)`: the nearest row is the largest of a 1×1 convolution.
///
/// # Errors
/// When the tensor is missing or misshapen.
pub fn quantize(b: &mut Builder, z: NodeId, name: &str) -> Result<[NodeId; 2]> {
    let (rows, channels) = (b.checkpoint().rows(name)?, b.shape(z).c);
    let table = b.param(name, &[rows, channels], 1.0)?;
    let weight = b.param(name, &[rows, channels, 1, 1], 1.0)?;
    let half_norm = |row: &[f32]| {
        let sum: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        (-0.5 * sum) as f32
    };
    let values = b.graph.param(table).to_f32();
    let halves: Vec<f32> = values.chunks_exact(channels).map(half_norm).collect();
    let halves = b.computed(&format!("{name}.norms"), vec![rows], &halves);
    b.graph.scoped(name, |graph| {
        let scores = graph.add(Conv2d::same(weight, 1), &[z])?;
        let scores = graph.add(ops::Bias(halves), &[scores])?;
        let index = graph.add(ops::ArgMax, &[scores])?;
        Ok([index, graph.add(ops::Embedding(table), &[index])?])
    })
}
