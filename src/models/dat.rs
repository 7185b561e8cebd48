//! DAT (Chen et al. 2023, *Dual Aggregation Transformer*): blocks that attend in turn within oblong
//! windows and between channels, each beside a convolution. RGB in [0, 1].
//!
//! Its channels' attention and means are over all of the picture: in tiles, over each tile.

use super::enlarger::{self, DIV2K_MEAN};
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Conv2d, Graph, NodeId, ParamId, ops};
use crate::nn::batch_norm::Normalised;
use crate::nn::border::{crop_to, zeros_to_multiple};
use crate::nn::{Builder, ConvSpec, swin, transformer};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// What PyTorch's layer norm adds to the variance.
const EPSILON: f64 = 1e-5;

/// How the picture is made of features.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ending {
    /// Convolutions with pixel shuffles of these factors.
    Shuffles(Vec<usize>),
    /// One convolution and a pixel shuffle (light).
    Direct(usize),
}

#[derive(Debug)]
struct Dat {
    channels: usize,
    /// Rows and columns of the windows of the first half of the channels; the other way round for
    /// the second half.
    window: [usize; 2],
    /// Of each group: its blocks and their heads.
    groups: Vec<[usize; 2]>,
    ending: Ending,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let known = checkpoint.has_prefix("before_RG.1.")
        && checkpoint.has_prefix("layers.0.blocks.0.attn.attns.0.pos.")
        && checkpoint.has_prefix("layers.0.blocks.0.ffn.sg.");
    known.then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<Dat> {
    let channels = checkpoint.rows("conv_first.weight")?;
    let name = "layers.0.blocks.0.attn.attns.0.rpe_biases";
    let rows = checkpoint.rows(name)?;
    // Every distance in a window, the largest last: one less than its sides.
    let distances = checkpoint.require(name, &[rows, 2])?.to_f32();
    let side = |at: usize| distances.len().checked_sub(at).and_then(|i| distances.get(i));
    let side = |at: usize| side(at).map(|v| v + 1.0).filter(|v| (1.0..=4096.0).contains(v));
    let window = side(2).zip(side(1)).map(|(rows, columns)| [rows as usize, columns as usize]);
    let window = window.filter(|[h, w]| (2 * h - 1) * (2 * w - 1) == rows);
    let Some(window) = window else {
        let what = "does not hold the distances in a window".to_owned();
        return Err(Error::Tensor { name: name.to_owned(), what });
    };
    let mut groups = Vec::new();
    for group in 0..checkpoint.numbered("layers.") {
        let blocks = format!("layers.{group}.blocks.");
        let count = checkpoint.numbered(&blocks);
        // Every second block, from the first on, attends within windows.
        for block in (0..count).step_by(2) {
            for half in 0..2 {
                checkpoint.rows(&format!("{blocks}{block}.attn.attns.{half}.pos.pos3.2.bias"))?;
            }
        }
        let heads = checkpoint.usual(&blocks, ".pos.pos3.2.bias", 0)?;
        groups.push([count, 2 * heads]);
    }
    let ending = match checkpoint.has_prefix("conv_before_upsample.") {
        true => Ending::Shuffles(enlarger::shuffles(checkpoint)?),
        false => Ending::Direct(enlarger::shuffle_factor(checkpoint, "upsample.0.weight", 3)?),
    };
    Ok(Dat { channels, window, groups, ending })
}

/// `W·relu(norm(v)) + b` of the layers `{prefix}.0` and `{prefix}.2`.
struct PositionLayer {
    norm: [Vec<f32>; 2],
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl PositionLayer {
    fn read(checkpoint: &Checkpoint, prefix: &str, [inputs, out]: [usize; 2]) -> Result<Self> {
        let values = |name: &str, dims: &[usize]| -> Result<Vec<f32>> {
            Ok(checkpoint.require(&format!("{prefix}.{name}"), dims)?.to_f32())
        };
        Ok(Self {
            norm: [values("0.weight", &[inputs])?, values("0.bias", &[inputs])?],
            weight: values("2.weight", &[out, inputs])?,
            bias: values("2.bias", &[out])?,
        })
    }

    fn run(&self, x: &[f64]) -> Vec<f64> {
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let factor = (variance + EPSILON).sqrt().recip();
        let [weight, bias] = &self.norm;
        let active: Vec<f64> = (x.iter().zip(weight).zip(bias))
            .map(|((v, w), b)| ((v - mean) * factor * f64::from(*w) + f64::from(*b)).max(0.0))
            .collect();
        linear(&self.weight, &self.bias, &active)
    }
}

fn linear(weight: &[f32], bias: &[f32], x: &[f64]) -> Vec<f64> {
    let rows = weight.chunks_exact(x.len().max(1)).zip(bias);
    let dot = |row: &[f32]| row.iter().zip(x).map(|(w, v)| f64::from(*w) * v).sum::<f64>();
    rows.map(|(row, b)| dot(row) + f64::from(*b)).collect()
}

/// The bias per head and distance that the small network at `prefix` gives.
fn position_bias(
    b: &mut Builder,
    prefix: &str,
    [rows, columns]: [usize; 2],
    heads: usize,
) -> Result<ParamId> {
    let checkpoint = b.checkpoint();
    let width = checkpoint.usual("layers.", ".pos.pos_proj.bias", 0)?;
    let first = checkpoint.require(&format!("{prefix}.pos_proj.weight"), &[width, 2])?.to_f32();
    let first_bias = checkpoint.require(&format!("{prefix}.pos_proj.bias"), &[width])?.to_f32();
    let layer = |name: &str, out: usize| {
        PositionLayer::read(checkpoint, &format!("{prefix}.{name}"), [width, out])
    };
    let layers = [layer("pos1", width)?, layer("pos2", width)?, layer("pos3", heads)?];
    let distances = (2 * rows - 1) * (2 * columns - 1);
    let mut values = vec![0.0; heads * distances];
    for at in 0..distances {
        let (row, column) = (at / (2 * columns - 1), at % (2 * columns - 1));
        let far = |i: usize, side: usize| i as f64 - (side - 1) as f64;
        let mut x = linear(&first, &first_bias, &[far(row, rows), far(column, columns)]);
        for layer in &layers {
            x = layer.run(&x);
        }
        for (head, v) in x.iter().enumerate() {
            values[head * distances + at] = *v as f32;
        }
    }
    let dims = vec![heads, 2 * rows - 1, 2 * columns - 1];
    Ok(b.computed(&format!("{prefix}.pos3.2.weight"), dims, &values))
}

/// A convolution beside an attention, and what each tells the other.
struct Beside<'a> {
    prefix: &'a str,
    channels: usize,
}

impl Beside<'_> {
    fn name(&self, part: &str) -> String {
        format!("{}.{part}", self.prefix)
    }

    /// A filter per channel, its normalisation, and GELU.
    fn convolved(&self, b: &mut Builder, value: NodeId) -> Result<NodeId> {
        let spec = ConvSpec { groups: self.channels, ..ConvSpec::same(3).out(self.channels) };
        self.normed(b, value, ["dwconv.0", "dwconv.1"], spec)
    }

    fn normed(
        &self,
        b: &mut Builder,
        x: NodeId,
        [conv, norm]: [&str; 2],
        spec: ConvSpec,
    ) -> Result<NodeId> {
        let (conv, norm) = (self.name(conv), self.name(norm));
        let y = b.conv_norm(x, Normalised { conv: &conv, norm: &norm }, spec)?;
        b.add(Activation::Gelu, &[y])
    }

    /// `x` times a factor per channel, which the means of `by` give.
    fn by_channels(&self, b: &mut Builder, x: NodeId, by: NodeId) -> Result<NodeId> {
        let part = |i: usize| format!("channel_interaction.{i}");
        let mean = b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[by])?;
        let y = self.normed(b, mean, [&part(1), &part(2)], ConvSpec::same(1))?;
        let y = b.conv(y, &self.name(&part(4)), ConvSpec::same(1).out(self.channels))?;
        let factor = b.add(Activation::Sigmoid, &[y])?;
        b.add(ops::ScaleChannels, &[x, factor])
    }

    /// `x` times a factor per pixel, which the pixels of `by` give.
    fn by_pixels(&self, b: &mut Builder, x: NodeId, by: NodeId) -> Result<NodeId> {
        let part = |i: usize| format!("spatial_interaction.{i}");
        let y = self.normed(b, by, [&part(0), &part(1)], ConvSpec::same(1))?;
        let y = b.conv(y, &self.name(&part(3)), ConvSpec::same(1).out(1))?;
        let factor = b.add(Activation::Sigmoid, &[y])?;
        let ones = vec![1.0; self.channels];
        let ones = b.computed("ones", vec![self.channels, 1, 1, 1], &ones);
        let factor = b.add(Conv2d::same(ones, 1), &[factor])?;
        b.product(x, factor)
    }
}

impl Dat {
    fn factor(&self) -> usize {
        match &self.ending {
            Ending::Shuffles(factors) => factors.iter().product(),
            Ending::Direct(factor) => *factor,
        }
    }

    /// Attention within windows, of either half of the channels by itself.
    fn in_windows(
        &self,
        b: &mut Builder,
        x: NodeId,
        prefix: &str,
        heads: usize,
        shifted: bool,
    ) -> Result<NodeId> {
        let (shape, channels) = (b.shape(x), self.channels);
        let all = swin::projected(b, x, &format!("{prefix}.qkv"))?;
        let value = b.slice(all, 2 * channels, 3 * channels)?;
        // What is filled up takes part: keys of zeros.
        let all = zeros_to_multiple(b, all, self.window[0].max(self.window[1]))?;
        let half = channels / 2;
        let mut halves = Vec::new();
        for (i, window) in [self.window, [self.window[1], self.window[0]]].into_iter().enumerate() {
            let name = format!("{prefix}.attns.{i}");
            // The table of distances follows from the sides.
            let distances = (2 * window[0] - 1) * (2 * window[1] - 1);
            b.checkpoint().require(&format!("{name}.rpe_biases"), &[distances, 2])?;
            let bias = position_bias(b, &format!("{name}.pos"), window, heads / 2)?;
            let mut part = |k: usize| {
                let start = k * channels + i * half;
                b.slice(all, start, start + half)
            };
            let qkv = [part(0)?, part(1)?, part(2)?];
            let offset = match shifted {
                true => window.map(|side| (side - side / 2) % side),
                false => [0; 2],
            };
            let heads = heads / 2;
            let op = ops::WindowAttention { heads, window, offset, margin: 0, bias };
            halves.push(b.graph.scoped(&*name, |graph| graph.add(op, &qkv))?);
        }
        let attended = b.add(ops::Concat, &halves)?;
        let attended = crop_to(b, attended, shape.h, shape.w)?;
        let beside = Beside { prefix, channels };
        let convolved = beside.convolved(b, value)?;
        let left = beside.by_channels(b, attended, convolved)?;
        let right = beside.by_pixels(b, convolved, attended)?;
        b.add(ops::Add, &[left, right])
    }

    /// Attention between channels.
    fn between_channels(
        &self,
        b: &mut Builder,
        x: NodeId,
        prefix: &str,
        heads: usize,
    ) -> Result<NodeId> {
        let channels = self.channels;
        let all = swin::projected(b, x, &format!("{prefix}.qkv"))?;
        let qkv = b.thirds(all)?;
        let temperature = b.param(&format!("{prefix}.temperature"), &[heads], 1.0)?;
        let op = ops::ChannelAttention { heads, temperature };
        let attended = b.graph.scoped(prefix, |graph| graph.add(op, &qkv))?;
        let beside = Beside { prefix, channels };
        let convolved = beside.convolved(b, qkv[2])?;
        let left = beside.by_pixels(b, attended, convolved)?;
        let right = beside.by_channels(b, convolved, attended)?;
        b.add(ops::Add, &[left, right])
    }

    fn block(
        &self,
        b: &mut Builder,
        x: NodeId,
        [group, index]: [usize; 2],
        heads: usize,
    ) -> Result<NodeId> {
        let prefix = format!("layers.{group}.blocks.{index}");
        let (attn, channels) = (format!("{prefix}.attn"), self.channels);
        let y = transformer::layer_norm(b, x, &format!("{prefix}.norm1"))?;
        let y = if index % 2 == 1 {
            self.between_channels(b, y, &attn, heads)?
        } else {
            // Windows are shifted in the blocks 2, 6, … of even groups and 0, 4, … of odd ones.
            self.in_windows(b, y, &attn, heads, index % 4 == 2 * ((group + 1) % 2))?
        };
        let y = b.conv(y, &format!("{attn}.proj"), ConvSpec::same(1).out(channels))?;
        let x = b.add(ops::Add, &[y, x])?;
        let y = transformer::layer_norm(b, x, &format!("{prefix}.norm2"))?;
        let y = b.conv(y, &format!("{prefix}.ffn.fc1"), ConvSpec::same(1))?;
        let y = b.add(Activation::Gelu, &[y])?;
        let half = b.shape(y).c / 2;
        let (first, second) = (b.slice(y, 0, half)?, b.slice(y, half, 2 * half)?);
        let second = transformer::layer_norm(b, second, &format!("{prefix}.ffn.sg.norm"))?;
        let spec = ConvSpec { groups: half, ..ConvSpec::same(3).out(half) };
        let second = b.conv(second, &format!("{prefix}.ffn.sg.conv"), spec)?;
        let y = b.product(first, second)?;
        let y = b.conv(y, &format!("{prefix}.ffn.fc2"), ConvSpec::same(1).out(channels))?;
        b.add(ops::Add, &[y, x])
    }

    /// The transformer on features, with its skip.
    fn body(&self, b: &mut Builder, first: NodeId) -> Result<NodeId> {
        let mut x = transformer::layer_norm(b, first, "before_RG.1")?;
        for (group, &[blocks, heads]) in self.groups.iter().enumerate() {
            let mut y = x;
            for index in 0..blocks {
                y = self.block(b, y, [group, index], heads)?;
            }
            let y = enlarger::connection(b, y, &format!("layers.{group}.conv"), self.channels)?;
            x = b.add(ops::Add, &[y, x])?;
        }
        let x = transformer::layer_norm(b, x, "norm")?;
        let x = enlarger::connection(b, x, "conv_after_body", self.channels)?;
        b.add(ops::Add, &[x, first])
    }
}

impl Network for Dat {
    fn name(&self) -> &'static str {
        "DAT"
    }

    fn task(&self) -> Task {
        // Every block has two 3×3 convolutions in sequence, every second one a window; a group ends
        // with a connection; less than six pixels for the rest.
        let widest = self.window[0].max(self.window[1]);
        let blocks = |[blocks, _]: &[usize; 2]| blocks.div_ceil(2) * (widest - 1) + 2 * blocks + 2;
        let radius = self.groups.iter().map(blocks).sum::<usize>() + 8;
        Task::Upscale { factor: self.factor(), radius, multiple: 1, align: widest }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let list = |of: usize| -> String {
            self.groups.iter().map(|group| group[of].to_string()).collect::<Vec<_>>().join(", ")
        };
        vec![
            ("factor", self.factor().to_string()),
            ("channels", self.channels.to_string()),
            ("windows", format!("{} × {}", self.window[0], self.window[1])),
            ("blocks", list(0)),
            ("heads", list(1)),
        ]
    }

    /// Masks of windows, which follow from the picture's size.
    fn training_only(&self) -> Vec<String> {
        vec!["*.attn_mask_0".to_owned(), "*.attn_mask_1".to_owned()]
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
        let x = b.graph.add_input("picture", input);
        let x = enlarger::shifted(&mut b, x, &DIV2K_MEAN.map(|v| -v), 1.0)?;
        let first = b.conv(x, "conv_first", ConvSpec::same(3).out(self.channels))?;
        let y = self.body(&mut b, first)?;
        let y = match &self.ending {
            Ending::Shuffles(factors) => enlarger::shuffled(&mut b, y, factors, 3)?,
            Ending::Direct(factor) => {
                let y = b.conv(y, "upsample.0", ConvSpec::same(3).out(3 * factor * factor))?;
                b.add(ops::PixelShuffle(*factor), &[y])?
            }
        };
        let y = enlarger::affine(&mut b, y, 1.0, &DIV2K_MEAN)?;
        Ok(b.finish(y))
    }
}
