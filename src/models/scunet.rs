//! SCUNet (Zhang et al. 2022, *Practical Blind Denoising*): a U-Net whose blocks give one half of
//! their channels to convolutions and the other to a Swin transformer block. RGB, or grey, in
//! [0, 1]; a denoiser, so the size stays.
//!
//! Sides of pictures are mirrored up to multiples of 64, where its authors' program repeats the last
//! row and column.

use super::channels::Channels;
use super::enlarger;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, Padding, ops};
use crate::nn::border::{crop_to, mirrored_to_multiple};
use crate::nn::swin::{self, Names, Windows};
use crate::nn::transposed::{Transposed, conv_transpose};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Side of a window.
const WINDOW: usize = 8;
/// Channels of a head.
const HEAD: usize = 32;
/// Halvings.
const LEVELS: usize = 3;
/// Windows at the lowest level fit sides that are multiples of this.
const MULTIPLE: usize = WINDOW << LEVELS;

/// The parts of the network in order, and at which level they work.
const PARTS: [(&str, usize); 7] = [
    ("m_down1", 0),
    ("m_down2", 1),
    ("m_down3", 2),
    ("m_body", 3),
    ("m_up3", 2),
    ("m_up2", 1),
    ("m_up1", 0),
];

#[derive(Debug)]
struct ScuNet {
    /// Of the pictures, both in and out.
    colours: Channels,
    channels: usize,
    /// Blocks of each of [`PARTS`].
    blocks: [usize; 7],
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let block = checkpoint.has_prefix("m_body.0.trans_block.");
    let ends = checkpoint.contains("m_head.0.weight") || checkpoint.contains("m_tail.0.weight");
    (block && ends).then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<ScuNet> {
    let head = "m_head.0.weight";
    let (channels, colours) = (checkpoint.rows(head)?, enlarger::inputs(checkpoint, head)?);
    let misfit = |what: String| Error::Tensor { name: head.to_owned(), what };
    let Some(colours) = Channels::new(colours, colours) else {
        return Err(misfit(format!("takes {colours} channels, expected 1, 3 or 4")));
    };
    if channels == 0 || channels % (2 * HEAD) != 0 {
        return Err(misfit(format!("gives {channels} channels, expected a multiple of 64")));
    }
    let blocks = PARTS.map(|(part, _)| blocks(checkpoint, part));
    Ok(ScuNet { colours, channels, blocks })
}

/// The blocks of a part, whose last or first entry may be a halving or doubling.
fn blocks(checkpoint: &Checkpoint, part: &str) -> usize {
    let index = |name: &str| -> Option<usize> {
        let (index, rest) = name.strip_prefix(part)?.strip_prefix('.')?.split_once('.')?;
        rest.starts_with("trans_block.").then(|| index.parse().ok()).flatten()
    };
    // Numbers beyond that of the tensors in the file are nobody's blocks.
    let most = checkpoint.names().count();
    let indices = checkpoint.names().filter_map(index).filter(|&index: &usize| index <= most);
    let last = indices.max().map_or(0, |last| last.saturating_add(1));
    if part.starts_with("m_up") { last.saturating_sub(1) } else { last }
}

/// A block on `x`, whose channels are halved between convolutions and transformer.
fn block(b: &mut Builder, x: NodeId, prefix: &str, shifted: bool) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let half = channels / 2;
    let spec = ConvSpec::same(1).out(channels);
    let y = b.conv(x, &format!("{prefix}.conv1_1"), spec)?;
    let (seen, attended) = (b.slice(y, 0, half)?, b.slice(y, half, channels)?);
    let plain = ConvSpec::same(3).out(half).without_bias();
    let y = b.conv(seen, &format!("{prefix}.conv_block.0"), plain)?;
    let y = b.leaky_relu(y, 0.0)?;
    let y = b.conv(y, &format!("{prefix}.conv_block.2"), plain)?;
    let seen = b.add(ops::Add, &[y, seen])?;
    let attended = transformer(b, attended, &format!("{prefix}.trans_block"), shifted)?;
    let y = b.add(ops::Concat, &[seen, attended])?;
    let y = b.conv(y, &format!("{prefix}.conv1_2"), spec)?;
    b.add(ops::Add, &[y, x])
}

fn transformer(b: &mut Builder, x: NodeId, prefix: &str, shifted: bool) -> Result<NodeId> {
    let heads = b.shape(x).c / HEAD;
    let side = 2 * WINDOW - 1;
    let bias =
        b.param(&format!("{prefix}.msa.relative_position_params"), &[heads, side, side], 1.0)?;
    let offset = if shifted { [WINDOW / 2; 2] } else { [0; 2] };
    let windows = Windows { heads, window: [WINDOW; 2], offset, margin: 0, bias };
    let name = |part: &str| format!("{prefix}.{part}");
    let names = Names {
        norm1: name("ln1"),
        qkv: name("msa.embedding_layer"),
        project: name("msa.linear"),
        norm2: name("ln2"),
        hidden: name("mlp.0"),
        output: name("mlp.2"),
    };
    swin::block(b, x, &windows, &names)
}

impl ScuNet {
    /// The blocks of part `index`, the first of them called `first`.
    fn part(&self, b: &mut Builder, mut x: NodeId, index: usize, first: usize) -> Result<NodeId> {
        let (part, _) = PARTS[index];
        for i in 0..self.blocks[index] {
            x = block(b, x, &format!("{part}.{}", first + i), i % 2 == 1)?;
        }
        Ok(x)
    }

    /// The network on a picture of its colours.
    fn run(&self, b: &mut Builder, picture: NodeId) -> Result<NodeId> {
        let shape = b.shape(picture);
        let x = mirrored_to_multiple(b, picture, MULTIPLE)?;
        let ends = |out: usize| ConvSpec::same(3).out(out).without_bias();
        let mut x = b.conv(x, "m_head.0", ends(self.channels))?;
        let mut skips = vec![x];
        for (level, (part, _)) in PARTS.iter().enumerate().take(LEVELS) {
            x = self.part(b, x, level, 0)?;
            let name = format!("{part}.{}", self.blocks[level]);
            let halving = ConvSpec {
                stride: 2,
                padding: Padding::all(0),
                ..ConvSpec::same(2).out(self.channels << (level + 1)).without_bias()
            };
            x = b.conv(x, &name, halving)?;
            skips.push(x);
        }
        x = self.part(b, x, LEVELS, 0)?;
        for (index, (part, _)) in PARTS.iter().enumerate().skip(LEVELS + 1) {
            if let Some(skip) = skips.pop() {
                x = b.add(ops::Add, &[x, skip])?;
            }
            let doubling = Transposed { kernel: 2, stride: 2, padding: 0, bias: false };
            x = conv_transpose(b, x, &format!("{part}.0"), doubling)?;
            x = self.part(b, x, index, 1)?;
        }
        if let Some(skip) = skips.pop() {
            x = b.add(ops::Add, &[x, skip])?;
        }
        let y = b.conv(x, "m_tail.0", ends(self.colours.output))?;
        crop_to(b, y, shape.h, shape.w)
    }
}

impl Network for ScuNet {
    fn name(&self) -> &'static str {
        "SCUNet"
    }

    fn task(&self) -> Task {
        // A block sees its window at its level; two 3×3 convolutions at the ends, and the halvings.
        let level =
            |(i, (_, level)): (usize, &(&str, usize))| self.blocks[i] * ((WINDOW - 1) << level);
        let seen: usize = PARTS.iter().enumerate().map(level).sum();
        Task::Upscale {
            factor: 1,
            radius: seen + 2 + MULTIPLE / WINDOW,
            multiple: 1,
            align: MULTIPLE,
        }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("channels", self.channels.to_string()),
            ("blocks", self.blocks.map(|n| n.to_string()).join(", ")),
        ];
        let colours = self.colours.description();
        parameters.extend(colours.map(|colours| ("picture's channels", colours.to_owned())));
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
