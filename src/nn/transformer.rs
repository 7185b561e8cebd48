//! Transformer layers over the pixels of a picture: pixel `h·W + w` of `[N, C, H, W]` is a token, a
//! linear layer on tokens is a 1×1 convolution.

use super::{Builder, ConvSpec};
use crate::Result;
use crate::graph::{Activation, Conv2d, NodeId, ops};

/// What PyTorch's layer norm adds to the variance.
const EPSILON: f32 = 1e-5;

/// Layer norm over channels with `{prefix}.weight` and `{prefix}.bias`.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn layer_norm(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let weight = b.param(&format!("{prefix}.weight"), &[channels], 1.0)?;
    let bias = b.param(&format!("{prefix}.bias"), &[channels], 1.0)?;
    b.graph.scoped(prefix, |graph| {
        let y = graph.add(ops::LayerNorm { epsilon: EPSILON, weight }, &[x])?;
        Ok(graph.add(ops::Bias(bias), &[y])?)
    })
}

/// A layer that normalises before attention and before its two linear layers (PyTorch's
/// `MultiheadAttention` with packed projections, erf GELU); `position` is added to queries and
/// keys, not to values.
///
/// # Errors
/// When a tensor is missing or misshapen, or the channels are not a multiple of `heads`.
pub fn layer(
    b: &mut Builder,
    x: NodeId,
    position: NodeId,
    prefix: &str,
    heads: usize,
) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let normed = layer_norm(b, x, &format!("{prefix}.norm1"))?;
    let placed = b.add(ops::Add, &[normed, position])?;
    let mut project = |y, rows: std::ops::Range<usize>| {
        let (weight, bias) = ("self_attn.in_proj_weight", "self_attn.in_proj_bias");
        let dims = [3 * channels, channels, 1, 1];
        let weight = b.rows(&format!("{prefix}.{weight}"), &dims, rows.clone())?;
        let bias = b.rows(&format!("{prefix}.{bias}"), &[3 * channels], rows)?;
        b.graph.scoped(format!("{prefix}.self_attn"), |graph| {
            let y = graph.add(Conv2d::same(weight, 1), &[y])?;
            Ok::<_, crate::Error>(graph.add(ops::Bias(bias), &[y])?)
        })
    };
    let query_key = project(placed, 0..2 * channels)?;
    let value = project(normed, 2 * channels..3 * channels)?;
    let query = b.slice(query_key, 0, channels)?;
    let key = b.slice(query_key, channels, 2 * channels)?;
    let y = b
        .graph
        .scoped(prefix, |graph| graph.add(ops::Attention { heads }, &[query, key, value]))?;
    let y = b.conv(y, &format!("{prefix}.self_attn.out_proj"), ConvSpec::same(1).out(channels))?;
    let x = b.add(ops::Add, &[y, x])?;

    let y = layer_norm(b, x, &format!("{prefix}.norm2"))?;
    let y = b.conv(y, &format!("{prefix}.linear1"), ConvSpec::same(1))?;
    let y = b.add(Activation::Gelu, &[y])?;
    let y = b.conv(y, &format!("{prefix}.linear2"), ConvSpec::same(1).out(channels))?;
    b.add(ops::Add, &[y, x])
}
