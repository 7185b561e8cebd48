//! Common parts of networks for pictures of any size.

use crate::checkpoint::Checkpoint;
use crate::graph::{NodeId, ops};
use crate::nn::{Builder, ConvSpec};
use crate::tensor::Shape;
use crate::{Error, Result};

/// Mean colour of DIV2K's pictures, which EDSR and its successors subtract.
pub(super) const DIV2K_MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// How many pixels a side each pixel becomes where the `rows` of tensor `name` are `channels` per
/// sub-pixel.
///
/// # Errors
/// [`Error::Tensor`] when they are not `channels` times a square.
pub(super) fn shuffle_factor(
    checkpoint: &Checkpoint,
    name: &str,
    channels: usize,
) -> Result<usize> {
    let rows = checkpoint.rows(name)?;
    let factor = (rows / channels.max(1)).isqrt();
    if factor == 0 || channels * factor * factor != rows {
        let what = format!("has {rows} rows, expected {channels} times a square");
        return Err(Error::Tensor { name: name.to_owned(), what });
    }
    Ok(factor)
}

/// The input channels of the convolution `name`.
///
/// # Errors
/// [`Error::Tensor`] when it is missing or not a convolution.
pub(super) fn inputs(checkpoint: &Checkpoint, name: &str) -> Result<usize> {
    match checkpoint.dims(name) {
        Some(&[_, inputs, _, _]) => Ok(inputs),
        _ => {
            checkpoint.rows(name)?;
            let what = "is not the weight of a convolution".to_owned();
            Err(Error::Tensor { name: name.to_owned(), what })
        }
    }
}

/// Refuses the checkpoint of a `network` whose first convolution, `name`, takes other than RGB pictures.
///
/// # Errors
/// [`Error::Tensor`] says how many channels they have, or that it is missing.
pub(super) fn check_rgb(checkpoint: &Checkpoint, name: &str, network: &str) -> Result<()> {
    let channels = inputs(checkpoint, name)?;
    if channels != 3 {
        let what = format!(
            "takes pictures of {channels} channels: {network} is supported for RGB pictures alone, \
             take a file of three channels"
        );
        return Err(Error::Tensor { name: name.to_owned(), what });
    }
    Ok(())
}

/// Refuses an input that is not pictures of `channels` channels.
///
/// # Errors
/// [`Error::Input`] says what it is.
pub(super) fn check_channels(input: Shape, channels: usize) -> Result<()> {
    if input.c != channels {
        let what = format!("this network takes [N, {channels}, H, W], the input is {input}");
        return Err(Error::Input(what));
    }
    Ok(())
}

/// `factor · x + offset` with an offset per channel.
pub(super) fn affine(b: &mut Builder, x: NodeId, factor: f32, offset: &[f32]) -> Result<NodeId> {
    let bias = b.computed("offset", vec![offset.len()], offset);
    let y = b.add(ops::Scale(factor), &[x])?;
    b.add(ops::Bias(bias), &[y])
}

/// `factor · (x + offset)` with an offset per channel.
pub(super) fn shifted(b: &mut Builder, x: NodeId, offset: &[f32], factor: f32) -> Result<NodeId> {
    let bias = b.computed("offset", vec![offset.len()], offset);
    let y = b.add(ops::Bias(bias), &[x])?;
    b.add(ops::Scale(factor), &[y])
}

/// Slope of the leaky ReLU before SwinIR's pixel shuffles, PyTorch's own.
const SLOPE_BEFORE: f32 = 0.01;
/// Slope of those between the three convolutions of a connection.
const SLOPE: f32 = 0.2;

/// The convolution at the end of SwinIR's groups, to `channels`: one 3×3 convolution, or three with a
/// quarter of the channels between them.
pub(super) fn connection(
    b: &mut Builder,
    x: NodeId,
    prefix: &str,
    channels: usize,
) -> Result<NodeId> {
    if !b.checkpoint().has_prefix(&format!("{prefix}.0.")) {
        return b.conv(x, prefix, ConvSpec::same(3).out(channels));
    }
    let quarter = channels / 4;
    let y = b.conv(x, &format!("{prefix}.0"), ConvSpec::same(3).out(quarter))?;
    let y = b.leaky_relu(y, SLOPE)?;
    let y = b.conv(y, &format!("{prefix}.2"), ConvSpec::same(1).out(quarter))?;
    let y = b.leaky_relu(y, SLOPE)?;
    b.conv(y, &format!("{prefix}.4"), ConvSpec::same(3).out(channels))
}

/// The factors of SwinIR's pixel shuffles, each behind a convolution `upsample.{2·i}`.
///
/// # Errors
/// [`Error::Tensor`] when one is missing or misshapen.
pub(super) fn shuffles(checkpoint: &Checkpoint) -> Result<Vec<usize>> {
    let first = "conv_before_upsample.0.";
    checkpoint.rows(&format!("{first}weight"))?;
    let features = checkpoint.usual(first, "", 0)?;
    (0..checkpoint.numbered("upsample.").div_ceil(2))
        .map(|step| shuffle_factor(checkpoint, &format!("upsample.{}.weight", 2 * step), features))
        .collect()
}

/// The convolution before SwinIR's upsampling.
pub(super) fn before_upsample(b: &mut Builder, x: NodeId) -> Result<NodeId> {
    let y = b.conv(x, "conv_before_upsample.0", ConvSpec::same(3))?;
    b.leaky_relu(y, SLOPE_BEFORE)
}

/// The picture of `colours` that SwinIR's classical ending makes of features: a pixel shuffle of each
/// of `factors`.
pub(super) fn shuffled(
    b: &mut Builder,
    x: NodeId,
    factors: &[usize],
    colours: usize,
) -> Result<NodeId> {
    let mut y = before_upsample(b, x)?;
    let features = b.shape(y).c;
    for (step, factor) in factors.iter().enumerate() {
        let spec = ConvSpec::same(3).out(features * factor * factor);
        y = b.conv(y, &format!("upsample.{}", 2 * step), spec)?;
        y = b.add(ops::PixelShuffle(*factor), &[y])?;
    }
    b.conv(y, "conv_last", ConvSpec::same(3).out(colours))
}
