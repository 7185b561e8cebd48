//! Blocks of the Swin transformer (Liu et al. 2021): attention within windows of a picture, in
//! every second block of windows that are shifted by half their side. A pixel is a token, a linear
//! layer on tokens a 1×1 convolution.

use super::{Builder, ConvSpec, transformer};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, NodeId, ParamId, ops};
use crate::{Error, Result};

/// Windows and heads of a block.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Blocks of channels that attend on their own.
    pub heads: usize,
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Rows and columns of the first windows that lie outside of the picture.
    pub offset: [usize; 2],
    /// Pixels around a window that it sees, too.
    pub margin: usize,
    /// Bias per head and distance, as [`ops::WindowAttention`] takes it.
    pub bias: ParamId,
}

/// The names of a block's tensors, each a prefix.
#[derive(Clone, Debug)]
pub struct Names {
    /// Layer norm before the attention.
    pub norm1: String,
    /// Linear layer to queries, keys and values, in this order.
    pub qkv: String,
    /// Linear layer after the attention.
    pub project: String,
    /// Layer norm before the two linear layers.
    pub norm2: String,
    /// The first of them, to any width.
    pub hidden: String,
    /// The second.
    pub output: String,
}

impl Names {
    /// Those of SwinIR and what came of it; `attention` is what stands before `qkv` and `proj`.
    pub fn of_swin(prefix: &str, attention: &str) -> Self {
        let name = |part: &str| format!("{prefix}.{part}");
        Self {
            norm1: name("norm1"),
            qkv: name(&format!("{attention}qkv")),
            project: name(&format!("{attention}proj")),
            norm2: name("norm2"),
            hidden: name("mlp.fc1"),
            output: name("mlp.fc2"),
        }
    }
}

/// Of each group `layers.{i}.residual_group` of SwinIR and what came of it: its blocks and their
/// heads.
///
/// # Errors
/// [`Error::Tensor`] names the table of biases that a block lacks.
pub fn groups(checkpoint: &Checkpoint) -> Result<Vec<[usize; 2]>> {
    let group = |group: usize| -> Result<[usize; 2]> {
        let prefix = format!("layers.{group}.residual_group.blocks.");
        let blocks = checkpoint.numbered(&prefix);
        for block in 0..blocks {
            checkpoint.rows(&format!("{prefix}{block}.attn.relative_position_bias_table"))?;
        }
        let heads = checkpoint.usual(&prefix, ".attn.relative_position_bias_table", 1)?;
        Ok([blocks, heads])
    };
    (0..checkpoint.numbered("layers.")).map(group).collect()
}

/// The side of the tables of biases whose names end so, which have a row for each distance in a
/// square window: an odd number.
///
/// # Errors
/// [`Error::Tensor`] names the first of them when it is not.
pub fn table_side(checkpoint: &Checkpoint, suffix: &str) -> Result<usize> {
    let side = checkpoint.usual("layers.", suffix, 0)?.isqrt();
    if side % 2 == 0 {
        let first = checkpoint.tensors().map(|param| &param.name).find(|n| n.ends_with(suffix));
        let what = "has a row for each distance in a window, expected the square of an odd number";
        let name = first.map_or(suffix, String::as_str).to_owned();
        return Err(Error::Tensor { name, what: what.to_owned() });
    }
    Ok(side)
}

/// Of windows that are shifted by half their side: what of the first ones lies outside.
pub fn half_shift(window: usize) -> [usize; 2] {
    [(window - window / 2) % window.max(1); 2]
}

/// The bias per head and distance from the table `name`, `[(2·window - 1)², heads]`, for `x`.
///
/// # Errors
/// When it is missing or misshapen.
pub fn bias_table(
    b: &mut Builder,
    x: NodeId,
    name: &str,
    heads: usize,
    window: usize,
) -> Result<ParamId> {
    let side = 2 * window - 1;
    let rows = b.weight_values(x, name, &[side * side, heads])?;
    let columns = (0..heads).flat_map(|head| rows[head..].iter().step_by(heads).copied());
    let columns: Vec<f32> = columns.collect();
    Ok(b.computed(name, vec![heads, side, side], &columns))
}

/// Attention and two linear layers, each behind a layer norm and beside a skip.
///
/// # Errors
/// When a tensor is missing or misshapen, or the channels are not a multiple of the heads.
pub fn block(b: &mut Builder, x: NodeId, windows: &Windows, names: &Names) -> Result<NodeId> {
    let y = transformer::layer_norm(b, x, &names.norm1)?;
    let y = attention(b, y, windows, names)?;
    let x = b.add(ops::Add, &[y, x])?;
    mlp(b, x, names)
}

/// The attention, with the linear layers before and after it.
///
/// # Errors
/// As [`block`].
pub fn attention(b: &mut Builder, x: NodeId, windows: &Windows, names: &Names) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let all = projected(b, x, &names.qkv)?;
    let qkv = b.thirds(all)?;
    let Windows { heads, window, offset, margin, bias } = *windows;
    let op = ops::WindowAttention { heads, window, offset, margin, bias };
    let y = b.graph.scoped(&*names.qkv, |graph| graph.add(op, &qkv))?;
    b.conv(y, &names.project, ConvSpec::same(1).out(channels))
}

/// The linear layer `name` to queries, keys and values; with a bias where any layer of that name has
/// one.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn projected(b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
    let layer = name.rsplit('.').next().unwrap_or(name);
    let suffix = format!(".{layer}.bias");
    let bias = b.checkpoint().tensors().any(|param| param.name.ends_with(&suffix));
    let channels = b.shape(x).c;
    b.conv(x, name, ConvSpec { bias, ..ConvSpec::same(1).out(3 * channels) })
}

/// Two linear layers with the erf GELU between them, behind a layer norm and beside a skip.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn mlp(b: &mut Builder, x: NodeId, names: &Names) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let y = transformer::layer_norm(b, x, &names.norm2)?;
    let y = b.conv(y, &names.hidden, ConvSpec::same(1))?;
    let y = b.add(Activation::Gelu, &[y])?;
    let y = b.conv(y, &names.output, ConvSpec::same(1).out(channels))?;
    b.add(ops::Add, &[y, x])
}
