//! SwinIR (Liang et al. 2021): groups of Swin transformer blocks between convolutions, as an
//! enlarger (classical, lightweight and real-world) or at the same size against noise and JPEG's
//! artefacts. RGB, or grey, in [0, 1].
//!
//! Sides of pictures are mirrored up to multiples of the window, as published.

use super::channels::Channels;
use super::enlarger::{self, DIV2K_MEAN};
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, ops};
use crate::nn::border::{crop_to, mirrored_to_multiple};
use crate::nn::swin::{self, Names, Windows};
use crate::nn::{Builder, ConvSpec, transformer};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Slope of the leaky ReLUs of the real-world ending.
const SLOPE: f32 = 0.2;
/// The window of the published networks against JPEG's artefacts, which see values in [0, 255].
const JPEG_WINDOW: usize = 7;

/// How the picture is made of features.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ending {
    /// One convolution and a pixel shuffle (lightweight).
    Direct(usize),
    /// Convolutions with pixel shuffles of these factors (classical).
    Shuffles(Vec<usize>),
    /// So many nearest ×2 steps with convolutions (real-world).
    Nearest(usize),
    /// A residual of the same size (denoising, JPEG).
    Residual,
}

#[derive(Debug)]
struct SwinIr {
    /// Of the pictures, both in and out.
    colours: Channels,
    /// Pixels of the input, per side, that become channels.
    unshuffle: usize,
    channels: usize,
    window: usize,
    /// Of each group: its blocks and their heads.
    groups: Vec<[usize; 2]>,
    /// What pictures in [0, 1] are multiplied by.
    range: f32,
    ending: Ending,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let block =
        |part: &str| checkpoint.has_prefix(&format!("layers.0.residual_group.blocks.0.{part}"));
    let table = checkpoint
        .tensors()
        .any(|param| param.name.ends_with(".attn.relative_position_bias_table"));
    let known = table
        && block("attn.qkv.")
        && block("mlp.fc1.")
        && block("norm1.")
        && checkpoint.has_prefix("conv_first.")
        // HAT, which has these too.
        && !block("conv_block.")
        && !checkpoint.has_prefix("layers.0.residual_group.overlap_attn.");
    known.then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<SwinIr> {
    let unshuffled = checkpoint.has_prefix("conv_first.1.");
    let first = if unshuffled { "conv_first.1.weight" } else { "conv_first.weight" };
    let (channels, inputs) = (checkpoint.rows(first)?, enlarger::inputs(checkpoint, first)?);
    let unshuffle = if unshuffled { (inputs / 3).isqrt() } else { 1 };
    let each = inputs / (unshuffle * unshuffle).max(1);
    let colours = Channels::new(each, each);
    let Some(colours) = colours.filter(|_| each * unshuffle * unshuffle == inputs) else {
        let what = format!("takes {inputs} channels, expected 1, 3 or 4 a pixel");
        return Err(Error::Tensor { name: first.to_owned(), what });
    };
    let groups = swin::groups(checkpoint)?;
    let window = swin::table_side(checkpoint, ".attn.relative_position_bias_table")?.div_ceil(2);
    let ending = ending(checkpoint, each)?;
    let range = if window == JPEG_WINDOW { 255.0 } else { 1.0 };
    Ok(SwinIr { colours, unshuffle, channels, window, groups, range, ending })
}

fn ending(checkpoint: &Checkpoint, colours: usize) -> Result<Ending> {
    if !checkpoint.has_prefix("conv_before_upsample.") {
        if !checkpoint.has_prefix("upsample.") {
            return Ok(Ending::Residual);
        }
        let factor = enlarger::shuffle_factor(checkpoint, "upsample.0.weight", colours)?;
        return Ok(Ending::Direct(factor));
    }
    if checkpoint.has_prefix("conv_up1.") {
        let steps = ["conv_up1.", "conv_up2.", "conv_up3."];
        let steps = steps.iter().take_while(|name| checkpoint.has_prefix(name)).count();
        return Ok(Ending::Nearest(steps));
    }
    Ok(Ending::Shuffles(enlarger::shuffles(checkpoint)?))
}

impl SwinIr {
    /// How much larger the result is than what the transformer sees.
    fn upscale(&self) -> usize {
        match &self.ending {
            Ending::Direct(factor) => *factor,
            Ending::Shuffles(factors) => factors.iter().product(),
            Ending::Nearest(steps) => 1 << steps,
            Ending::Residual => 1,
        }
    }

    fn block(
        &self,
        b: &mut Builder,
        x: NodeId,
        prefix: &str,
        heads: usize,
        shifted: bool,
    ) -> Result<NodeId> {
        let table = format!("{prefix}.attn.relative_position_bias_table");
        let bias = swin::bias_table(b, x, &table, heads, self.window)?;
        let offset = if shifted { swin::half_shift(self.window) } else { [0; 2] };
        let windows = Windows { heads, window: [self.window; 2], offset, margin: 0, bias };
        swin::block(b, x, &windows, &Names::of_swin(prefix, "attn."))
    }

    /// The transformer on features, with its skip.
    fn body(&self, b: &mut Builder, first: NodeId) -> Result<NodeId> {
        let mut x = transformer::layer_norm(b, first, "patch_embed.norm")?;
        for (group, &[blocks, heads]) in self.groups.iter().enumerate() {
            let mut y = x;
            for block in 0..blocks {
                let prefix = format!("layers.{group}.residual_group.blocks.{block}");
                y = self.block(b, y, &prefix, heads, block % 2 == 1)?;
            }
            let y = enlarger::connection(b, y, &format!("layers.{group}.conv"), self.channels)?;
            x = b.add(ops::Add, &[y, x])?;
        }
        let x = transformer::layer_norm(b, x, "norm")?;
        let x = enlarger::connection(b, x, "conv_after_body", self.channels)?;
        b.add(ops::Add, &[x, first])
    }

    /// The picture of the features `x`; `picture` is what the network sees.
    fn end(&self, b: &mut Builder, x: NodeId, picture: NodeId) -> Result<NodeId> {
        let same = |out: usize| ConvSpec::same(3).out(out);
        if let Ending::Direct(factor) = &self.ending {
            let y = b.conv(x, "upsample.0", same(self.colours.output * factor * factor))?;
            return b.add(ops::PixelShuffle(*factor), &[y]);
        }
        if self.ending == Ending::Residual {
            let y = b.conv(x, "conv_last", same(self.colours.output))?;
            return b.add(ops::Add, &[y, picture]);
        }
        if let Ending::Shuffles(factors) = &self.ending {
            return enlarger::shuffled(b, x, factors, self.colours.output);
        }
        let mut y = enlarger::before_upsample(b, x)?;
        let features = b.shape(y).c;
        if let Ending::Nearest(steps) = &self.ending {
            for step in 1..=*steps {
                y = b.nearest(y, 2)?;
                y = b.conv(y, &format!("conv_up{step}"), same(features))?;
                y = b.leaky_relu(y, SLOPE)?;
            }
            y = b.conv(y, "conv_hr", same(features))?;
            y = b.leaky_relu(y, SLOPE)?;
        }
        b.conv(y, "conv_last", same(self.colours.output))
    }

    /// The network on a picture of its colours.
    fn run(&self, b: &mut Builder, picture: NodeId) -> Result<NodeId> {
        let shape = b.shape(picture);
        let mut x = mirrored_to_multiple(b, picture, self.window * self.unshuffle)?;
        let mean = match self.colours.input {
            3 => DIV2K_MEAN.to_vec(),
            n => vec![0.0; n],
        };
        let negative: Vec<f32> = mean.iter().map(|v| -v).collect();
        x = enlarger::shifted(b, x, &negative, self.range)?;
        let seen = x;
        let first = if self.unshuffle > 1 {
            x = b.add(ops::PixelUnshuffle(self.unshuffle), &[x])?;
            "conv_first.1"
        } else {
            "conv_first"
        };
        let first = b.conv(x, first, ConvSpec::same(3).out(self.channels))?;
        let y = self.body(b, first)?;
        let y = self.end(b, y, seen)?;
        let y = enlarger::affine(b, y, self.range.recip(), &mean)?;
        let factor = self.upscale() / self.unshuffle;
        crop_to(b, y, factor * shape.h, factor * shape.w)
    }
}

impl Network for SwinIr {
    fn name(&self) -> &'static str {
        "SwinIR"
    }

    fn task(&self) -> Task {
        // A block sees its window; a group ends with one or two 3×3 convolutions; less than six
        // pixels for those before, after and behind.
        let blocks: usize = self.groups.iter().map(|[blocks, _]| blocks).sum();
        let seen = blocks * (self.window - 1) + 2 * (self.groups.len() + 1) + 6;
        Task::Upscale {
            factor: self.upscale() / self.unshuffle,
            radius: self.unshuffle * seen,
            multiple: 1,
            align: self.unshuffle * self.window,
        }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let list = |values: Vec<String>| values.join(", ");
        let ending = match &self.ending {
            Ending::Direct(_) => "pixel shuffle (lightweight)",
            Ending::Shuffles(_) => "pixel shuffle (classical)",
            Ending::Nearest(_) => "nearest and convolutions (real-world)",
            Ending::Residual => "residual (denoising, JPEG)",
        };
        let range = match self.range {
            1.0 => "0..1".to_owned(),
            range => format!("0..{range} (assumed, from the window of {JPEG_WINDOW})"),
        };
        let mut parameters = vec![
            ("factor", (self.upscale() / self.unshuffle).to_string()),
            ("channels", self.channels.to_string()),
            ("window", self.window.to_string()),
            ("blocks", list(self.groups.iter().map(|[blocks, _]| blocks.to_string()).collect())),
            ("heads", list(self.groups.iter().map(|[_, heads]| heads.to_string()).collect())),
            ("upsampler", ending.to_owned()),
            ("range", range),
        ];
        let colours = self.colours.description();
        parameters.extend(colours.map(|colours| ("picture's channels", colours.to_owned())));
        if self.unshuffle > 1 {
            parameters.push(("unshuffle", self.unshuffle.to_string()));
        }
        parameters
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        enlarger::check_channels(input, 3)?;
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("picture", input);
        let y = self.colours.run(&mut b, x, |b, x| self.run(b, x))?;
        Ok(b.finish(y))
    }
}
