//! OmniSR (Wang et al. 2023, *Omni Aggregation Networks for Lightweight Image Super-Resolution*):
//! blocks that attend in turn between pixels and between channels, in windows and in grids. RGB in
//! [0, 1].
//!
//! Sides are filled up with zeros to multiples of the window, as published. A grid spans all of the
//! picture: in tiles, each tile.

use super::enlarger;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, Interpolation, NodeId, Padding, ParamId, ops};
use crate::nn::border::{crop_to, mirrored, zeros_to_multiple};
use crate::nn::{Builder, ConvSpec, swin, transformer};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// What layer norms of pictures add to variances; those of tokens have PyTorch's own.
const EPSILON: f32 = 1e-6;
/// The window where no table of biases tells it: that of the published networks.
const WINDOW: usize = 8;
/// Windows whose largest value the spatial attention takes, and their step.
const POOL: [usize; 2] = [7, 3];
/// The smallest side for which the spatial attention has such a window.
const SMALLEST: usize = 15;

#[derive(Debug)]
struct OmniSr {
    channels: usize,
    /// Channels of the spatial attention.
    spatial: usize,
    /// Channels between the layers of a squeeze and excitation.
    squeezed: usize,
    heads: usize,
    window: usize,
    /// Whether pixels' attention has a bias per distance.
    biased: bool,
    groups: usize,
    /// Of each group.
    blocks: usize,
    /// Whether the convolutions outside of blocks have biases.
    conv_bias: bool,
    factor: usize,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let known = checkpoint.has_prefix("residual_layer.0.residual_layer.0.layer.0.fn.")
        && checkpoint.has_prefix("residual_layer.0.esa.");
    known.then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<OmniSr> {
    enlarger::check_rgb(checkpoint, "input.weight", "OmniSR")?;
    let usual = |suffix: &str, axis: usize| checkpoint.usual("residual_layer.", suffix, axis);
    let table = ".fn.rel_pos_bias.weight";
    let biased = checkpoint.tensors().any(|param| param.name.ends_with(table));
    let window = match biased {
        false => WINDOW,
        true => usual(table, 0)?.isqrt().div_ceil(2),
    };
    let groups = checkpoint.numbered("residual_layer.");
    let layers = |group| checkpoint.numbered(&format!("residual_layer.{group}.residual_layer."));
    // The last layer of a group is a convolution.
    let blocks = (0..groups).map(layers).max().unwrap_or_default().saturating_sub(1);
    let ends = ["input", "output", "up.0"].map(str::to_owned);
    let mut convs = (0..groups)
        .map(|group| format!("residual_layer.{group}.residual_layer.{blocks}"))
        .chain(ends);
    Ok(OmniSr {
        channels: usual(".fn.qkv.weight", 1)?,
        spatial: usual(".esa.conv1.weight", 0)?,
        squeezed: usual(".fn.4.gate.1.weight", 0)?,
        heads: usual(".fn.temperature", 0)?,
        window,
        biased,
        groups,
        blocks,
        conv_bias: convs.any(|conv| checkpoint.contains(&format!("{conv}.bias"))),
        factor: enlarger::shuffle_factor(checkpoint, "up.0.weight", 3)?,
    })
}

/// Layer norm of a picture's pixels.
fn norm(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let weight = b.vector(x, &format!("{prefix}.weight"))?;
    let y = b.add(ops::LayerNorm { epsilon: EPSILON, weight }, &[x])?;
    let bias = b.vector(y, &format!("{prefix}.bias"))?;
    b.add(ops::Bias(bias), &[y])
}

impl OmniSr {
    /// A convolution of the width of the network.
    fn conv(&self, b: &mut Builder, x: NodeId, name: &str, kernel: usize) -> Result<NodeId> {
        b.conv(
            x,
            name,
            ConvSpec { bias: self.conv_bias, ..ConvSpec::same(kernel).out(self.channels) },
        )
    }

    /// A 1×1 convolution to `out` channels and a filter for each of them, without biases.
    fn filtered(
        &self,
        b: &mut Builder,
        x: NodeId,
        [first, second]: [&str; 2],
        out: usize,
    ) -> Result<NodeId> {
        let y = b.conv(x, first, ConvSpec::same(1).out(out).without_bias())?;
        let spec = ConvSpec { groups: out, ..ConvSpec::same(3).out(out).without_bias() };
        b.conv(y, second, spec)
    }

    /// `x` plus an inverted bottleneck of it with squeeze and excitation.
    fn bottleneck(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let name = |part: &str| format!("{prefix}.fn.{part}");
        let channels = self.channels;
        let y = b.conv(x, &name("0"), ConvSpec::same(1).out(channels))?;
        let y = b.add(Activation::Gelu, &[y])?;
        let each = ConvSpec { groups: channels, ..ConvSpec::same(3).out(channels) };
        let y = b.conv(y, &name("2"), each)?;
        let y = b.add(Activation::Gelu, &[y])?;
        let mean = b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[y])?;
        let spec = ConvSpec::same(1).without_bias();
        let hidden = b.conv(mean, &name("4.gate.1"), spec.out(self.squeezed))?;
        let hidden = b.add(Activation::Silu, &[hidden])?;
        let factor = b.conv(hidden, &name("4.gate.3"), spec.out(channels))?;
        let factor = b.add(Activation::Sigmoid, &[factor])?;
        let y = b.add(ops::ScaleChannels, &[y, factor])?;
        let y = b.conv(y, &name("5"), ConvSpec::same(1).out(channels))?;
        b.add(ops::Add, &[y, x])
    }

    /// `x` plus the attention of its pixels: within windows, or within grids of pixels that lie
    /// apart.
    fn between_pixels(
        &self,
        b: &mut Builder,
        x: NodeId,
        prefix: &str,
        grid: bool,
    ) -> Result<NodeId> {
        let (window, heads, channels) = (self.window, self.heads, self.channels);
        let y = transformer::layer_norm(b, x, &format!("{prefix}.norm"))?;
        let to_qkv = ConvSpec::same(1).out(3 * channels).without_bias();
        let all = b.conv(y, &format!("{prefix}.fn.to_qkv"), to_qkv)?;
        let Shape { h, w, .. } = b.shape(x);
        let windows = [h / window, w / window];
        let all = if grid { partition(b, all, windows, true)? } else { all };
        let qkv = b.thirds(all)?;
        let bias = self.distances(b, x, prefix)?;
        let window = [window; 2];
        let op = ops::WindowAttention { heads, window, offset: [0; 2], margin: 0, bias };
        let y = b.graph.scoped(prefix, |graph| graph.add(op, &qkv))?;
        let y = if grid { joined(b, y, windows, true)? } else { y };
        let to_out = ConvSpec::same(1).out(channels).without_bias();
        let y = b.conv(y, &format!("{prefix}.fn.to_out.0"), to_out)?;
        b.add(ops::Add, &[y, x])
    }

    /// The bias per head and distance in a window; zeros where the network has none.
    fn distances(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<ParamId> {
        let name = format!("{prefix}.fn.rel_pos_bias.weight");
        if self.biased {
            return swin::bias_table(b, x, &name, self.heads, self.window);
        }
        let side = 2 * self.window - 1;
        let zeros = vec![0.0; self.heads * side * side];
        Ok(b.computed(&name, vec![self.heads, side, side], &zeros))
    }

    /// `x` plus the attention of its channels: over the pixels of windows, or over grids of pixels
    /// that lie apart.
    fn between_channels(
        &self,
        b: &mut Builder,
        x: NodeId,
        prefix: &str,
        grid: bool,
    ) -> Result<NodeId> {
        let (window, heads, channels) = (self.window, self.heads, self.channels);
        let name = |part: &str| format!("{prefix}.fn.{part}");
        let y = norm(b, x, &format!("{prefix}.norm"))?;
        let all = self.filtered(b, y, [&name("qkv"), &name("qkv_dwconv")], 3 * channels)?;
        let Shape { h, w, .. } = b.shape(x);
        let windows = if grid { [window; 2] } else { [h / window, w / window] };
        let all = partition(b, all, windows, grid)?;
        let qkv = b.thirds(all)?;
        let temperature = b.param(&name("temperature"), &[heads], 1.0)?;
        let op = ops::ChannelAttention { heads, temperature };
        let y = b.graph.scoped(prefix, |graph| graph.add(op, &qkv))?;
        let y = joined(b, y, windows, grid)?;
        let out = ConvSpec::same(1).out(channels).without_bias();
        let y = b.conv(y, &name("project_out"), out)?;
        b.add(ops::Add, &[y, x])
    }

    /// `x` plus a gated feed-forward layer of it.
    fn gated(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let (channels, name) = (self.channels, |part: &str| format!("{prefix}.fn.{part}"));
        let y = norm(b, x, &format!("{prefix}.norm"))?;
        let y = self.filtered(b, y, [&name("project_in"), &name("dwconv")], 2 * channels)?;
        let (gate, y) = (b.slice(y, 0, channels)?, b.slice(y, channels, 2 * channels)?);
        let gate = b.add(Activation::Gelu, &[gate])?;
        let y = b.product(gate, y)?;
        let spec = ConvSpec::same(1).out(channels).without_bias();
        let y = b.conv(y, &name("project_out"), spec)?;
        b.add(ops::Add, &[y, x])
    }

    fn block(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let layer = |i: usize| format!("{prefix}.layer.{i}");
        let mut x = self.bottleneck(b, x, &layer(0))?;
        // The layers between only arrange pixels.
        for (attention, grid) in [(2, false), (8, true)] {
            x = self.between_pixels(b, x, &layer(attention), grid)?;
            x = self.gated(b, x, &layer(attention + 2))?;
            x = self.between_channels(b, x, &layer(attention + 3), grid)?;
            x = self.gated(b, x, &layer(attention + 4))?;
        }
        Ok(x)
    }

    /// `x` times a factor per pixel and channel, which the largest values around it give.
    fn spatial_attention(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let (inner, name) = (self.spatial, |part: &str| format!("{prefix}.{part}"));
        let first = b.conv(x, &name("conv1"), ConvSpec::same(1).out(inner))?;
        let spec = ConvSpec { stride: 2, padding: Padding::all(0), ..ConvSpec::same(3).out(inner) };
        let y = b.conv(first, &name("conv2"), spec)?;
        let [kernel, stride] = POOL;
        let y = b.add(ops::MaxPool2d { kernel, stride, padding: 0 }, &[y])?;
        let y = b.conv(y, &name("conv3"), ConvSpec::same(3).out(inner))?;
        let y = b.resize_like(y, x, Interpolation::Bilinear)?;
        let fine = b.conv(first, &name("conv_f"), ConvSpec::same(1).out(inner))?;
        let y = b.add(ops::Add, &[y, fine])?;
        let y = b.conv(y, &name("conv4"), ConvSpec::same(1).out(self.channels))?;
        let factor = b.add(Activation::Sigmoid, &[y])?;
        b.product(x, factor)
    }

    fn group(&self, b: &mut Builder, x: NodeId, group: usize) -> Result<NodeId> {
        let prefix = format!("residual_layer.{group}");
        let mut y = x;
        for block in 0..self.blocks {
            y = self.block(b, y, &format!("{prefix}.residual_layer.{block}"))?;
        }
        let y = self.conv(b, y, &format!("{prefix}.residual_layer.{}", self.blocks), 1)?;
        let y = b.add(ops::Add, &[y, x])?;
        self.spatial_attention(b, y, &format!("{prefix}.esa"))
    }

    /// The picture with sides that the network takes: those below what it is published for are
    /// mirrored, then all are filled up with zeros.
    fn filled(&self, b: &mut Builder, x: NodeId) -> Result<NodeId> {
        let Shape { h, w, .. } = b.shape(x);
        let missing = |n: usize| match n.next_multiple_of(self.window) < SMALLEST {
            true => SMALLEST.saturating_sub(n) as i32,
            false => 0,
        };
        let padding = Padding { bottom: missing(h), right: missing(w), ..Padding::all(0) };
        let x = mirrored(b, x, padding)?;
        zeros_to_multiple(b, x, self.window)
    }
}

fn partition(b: &mut Builder, x: NodeId, windows: [usize; 2], dilated: bool) -> Result<NodeId> {
    b.add(ops::WindowPartition { windows, dilated, reverse: false }, &[x])
}

fn joined(b: &mut Builder, x: NodeId, windows: [usize; 2], dilated: bool) -> Result<NodeId> {
    b.add(ops::WindowPartition { windows, dilated, reverse: true }, &[x])
}

impl Network for OmniSr {
    fn name(&self) -> &'static str {
        "OmniSR"
    }

    fn task(&self) -> Task {
        // A block has seven 3×3 convolutions, and two layers in windows; the spatial attention sees
        // its pool, two pixels a step, and a pooled pixel more on either side, twice; a pixel each for
        // the ends. Grids see more, and so do means: see `averages`.
        let block = 7 + 2 * (self.window - 1);
        let spatial = 2 * POOL[0] + 1 + 2 * 2 * POOL[1];
        let radius = self.groups * (self.blocks * block + spatial) + 3;
        Task::Upscale { factor: self.factor, radius, multiple: 1, align: self.window }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let window = match self.biased {
            true => self.window.to_string(),
            false => format!("{} (assumed: the file cannot tell)", self.window),
        };
        vec![
            ("factor", self.factor.to_string()),
            ("channels", self.channels.to_string()),
            ("window", window),
            ("groups", self.groups.to_string()),
            ("blocks", self.blocks.to_string()),
            ("heads", self.heads.to_string()),
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
        if self.window == 0 {
            return Err(Error::Input("this network has windows without pixels".to_owned()));
        }
        let mut b = Builder::new(checkpoint);
        let picture = b.graph.add_input("picture", input);
        let picture = self.filled(&mut b, picture)?;
        let first = self.conv(&mut b, picture, "input", 3)?;
        let mut x = first;
        for group in 0..self.groups {
            x = self.group(&mut b, x, group)?;
        }
        let y = self.conv(&mut b, x, "output", 3)?;
        let y = b.add(ops::Add, &[y, first])?;
        let spec = ConvSpec::same(3).out(3 * self.factor * self.factor);
        let y = b.conv(y, "up.0", ConvSpec { bias: self.conv_bias, ..spec })?;
        let y = b.add(ops::PixelShuffle(self.factor), &[y])?;
        let y = crop_to(&mut b, y, self.factor * input.h, self.factor * input.w)?;
        Ok(b.finish(y))
    }
}
