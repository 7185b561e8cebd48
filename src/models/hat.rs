//! HAT (Chen et al. 2023, *Activating More Pixels in Image Super-Resolution*): SwinIR's groups, with
//! channel attention beside the windows' and an attention over overlapping windows at the end of each
//! group. RGB in [0, 1].
//!
//! Sides of pictures are mirrored up to multiples of the window, as published. Its channel attention
//! averages over all of the picture: in tiles, over each tile.

use super::enlarger::{self, DIV2K_MEAN};
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, NodeId, ops};
use crate::nn::border::{crop_to, mirrored_to_multiple};
use crate::nn::swin::{self, Names, Windows};
use crate::nn::{Builder, ConvSpec, transformer};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Share of the channel attention's result, that of the published networks; files do not hold it.
const CONV_SCALE: f32 = 0.01;

#[derive(Debug)]
struct Hat {
    channels: usize,
    window: usize,
    /// Pixels around a window that the overlapping ones see.
    margin: usize,
    /// Of each group: its blocks and their heads.
    groups: Vec<[usize; 2]>,
    /// Of the pixel shuffles in the end.
    factors: Vec<usize>,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let known = checkpoint.has_prefix("layers.0.residual_group.blocks.0.conv_block.cab.")
        && checkpoint.has_prefix("layers.0.residual_group.overlap_attn.")
        && checkpoint.has_prefix("conv_first.");
    known.then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<Hat> {
    let channels = checkpoint.rows("conv_first.weight")?;
    let groups = swin::groups(checkpoint)?;
    let overlap =
        |group| format!("layers.{group}.residual_group.overlap_attn.relative_position_bias_table");
    for group in 0..groups.len() {
        checkpoint.rows(&overlap(group))?;
    }
    let side = |suffix| swin::table_side(checkpoint, suffix);
    let window = side(".attn.relative_position_bias_table")?.div_ceil(2);
    let reach = side(".overlap_attn.relative_position_bias_table")?.div_ceil(2);
    let Some(margin) = reach.checked_sub(window) else {
        let what = format!("is for windows of {reach}, the others have {window}");
        return Err(Error::Tensor { name: overlap(0), what });
    };
    let factors = enlarger::shuffles(checkpoint)?;
    Ok(Hat { channels, window, margin, groups, factors })
}

impl Hat {
    fn factor(&self) -> usize {
        self.factors.iter().product()
    }

    fn same(&self) -> ConvSpec {
        ConvSpec::same(3).out(self.channels)
    }

    /// Convolutions whose result gets a factor per channel from the channels' means.
    fn channel_attention(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        let y = b.conv(x, &format!("{prefix}.0"), ConvSpec::same(3))?;
        let y = b.add(Activation::Gelu, &[y])?;
        let y = b.conv(y, &format!("{prefix}.2"), self.same())?;
        let mean = b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[y])?;
        let hidden = b.conv(mean, &format!("{prefix}.3.attention.1"), ConvSpec::same(1))?;
        let hidden = b.leaky_relu(hidden, 0.0)?;
        let spec = ConvSpec::same(1).out(self.channels);
        let factor = b.conv(hidden, &format!("{prefix}.3.attention.3"), spec)?;
        let factor = b.add(Activation::Sigmoid, &[factor])?;
        b.add(ops::ScaleChannels, &[y, factor])
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
        let names = Names::of_swin(prefix, "attn.");
        let normed = transformer::layer_norm(b, x, &names.norm1)?;
        let beside = self.channel_attention(b, normed, &format!("{prefix}.conv_block.cab"))?;
        let beside = b.add(ops::Scale(CONV_SCALE), &[beside])?;
        let y = swin::attention(b, normed, &windows, &names)?;
        let y = b.add(ops::Add, &[y, x])?;
        let x = b.add(ops::Add, &[beside, y])?;
        swin::mlp(b, x, &names)
    }

    /// Attention of windows to wider windows around them.
    fn overlapping(
        &self,
        b: &mut Builder,
        x: NodeId,
        prefix: &str,
        heads: usize,
    ) -> Result<NodeId> {
        let (window, margin) = (self.window, self.margin);
        let side = 2 * (window + margin) - 1;
        let table = format!("{prefix}.relative_position_bias_table");
        let rows = b.weight_values(x, &table, &[side * side, heads])?;
        // The published index counts rows and columns of key minus query from `1 - margin` on, so
        // that it can be negative; then it counts from the table's end.
        let index = |i: usize, j: usize| {
            let far = |i: usize| window as i64 - i as i64;
            let at = far(i) * side as i64 + far(j);
            at.rem_euclid((side * side) as i64) as usize
        };
        let mut values = Vec::with_capacity(heads * side * side);
        for head in 0..heads {
            for i in 0..side {
                values.extend((0..side).map(|j| rows[index(i, j) * heads + head]));
            }
        }
        let bias = b.computed(&table, vec![heads, side, side], &values);
        let windows = Windows { heads, window: [window; 2], offset: [0; 2], margin, bias };
        swin::block(b, x, &windows, &Names::of_swin(prefix, ""))
    }

    /// One 3×3 convolution, or none.
    fn connection(&self, b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
        if !b.checkpoint().has_prefix("conv_after_body.") {
            return Ok(x);
        }
        b.conv(x, prefix, self.same())
    }

    /// The transformer on features, with its skip.
    fn body(&self, b: &mut Builder, first: NodeId) -> Result<NodeId> {
        let mut x = match b.checkpoint().has_prefix("patch_embed.norm.") {
            true => transformer::layer_norm(b, first, "patch_embed.norm")?,
            false => first,
        };
        for (group, &[blocks, heads]) in self.groups.iter().enumerate() {
            let prefix = format!("layers.{group}.residual_group");
            let mut y = x;
            for block in 0..blocks {
                let name = format!("{prefix}.blocks.{block}");
                y = self.block(b, y, &name, heads, block % 2 == 1)?;
            }
            let y = self.overlapping(b, y, &format!("{prefix}.overlap_attn"), heads)?;
            let y = self.connection(b, y, &format!("layers.{group}.conv"))?;
            x = b.add(ops::Add, &[y, x])?;
        }
        let x = transformer::layer_norm(b, x, "norm")?;
        let x = self.connection(b, x, "conv_after_body")?;
        b.add(ops::Add, &[x, first])
    }
}

impl Network for Hat {
    fn name(&self) -> &'static str {
        "HAT"
    }

    fn task(&self) -> Task {
        // A block sees its window, the last of a group a margin more; a group ends with a 3×3
        // convolution, and so do body and network; less than six pixels for the rest.
        let blocks: usize = self.groups.iter().map(|[blocks, _]| blocks + 1).sum();
        let groups = self.groups.len();
        let radius = blocks * (self.window - 1) + groups * (self.margin + 1) + 7;
        Task::Upscale { factor: self.factor(), radius, multiple: 1, align: self.window }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let list = |of: usize| -> String {
            self.groups.iter().map(|group| group[of].to_string()).collect::<Vec<_>>().join(", ")
        };
        vec![
            ("factor", self.factor().to_string()),
            ("channels", self.channels.to_string()),
            ("window", format!("{}, overlapping by {}", self.window, self.margin)),
            ("blocks", list(0)),
            ("heads", list(1)),
            ("channel attention", format!("{CONV_SCALE} (assumed: the file cannot tell)")),
        ]
    }

    /// Places in windows, which follow from their side.
    fn training_only(&self) -> Vec<String> {
        vec!["relative_position_index_*".to_owned()]
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
        let x = mirrored_to_multiple(&mut b, x, self.window)?;
        let x = enlarger::shifted(&mut b, x, &DIV2K_MEAN.map(|v| -v), 1.0)?;
        let first = b.conv(x, "conv_first", self.same())?;
        let y = self.body(&mut b, first)?;
        let y = enlarger::shuffled(&mut b, y, &self.factors, 3)?;
        let y = enlarger::affine(&mut b, y, 1.0, &DIV2K_MEAN)?;
        let y = crop_to(&mut b, y, self.factor() * input.h, self.factor() * input.w)?;
        Ok(b.finish(y))
    }
}
