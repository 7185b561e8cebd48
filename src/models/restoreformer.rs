//! RestoreFormer and RestoreFormer++ (Wang et al. 2022, 2023): a VQGAN whose decoder attends to the
//! features of the degraded face. RGB in [-1, 1].

use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId};
use crate::nn::{Builder, ConvSpec, vqgan};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Side in pixels of what the encoder's attention was trained on.
const ATTENTION_SIZE: usize = 16;
/// Heads of the public RestoreFormer; the tensors do not tell.
const HEADS: usize = 8;
/// Heads of the public RestoreFormer++.
const PLUS_HEADS: usize = 4;

#[derive(Debug)]
struct RestoreFormer {
    /// What stands before all names: RestoreFormer++ keeps its network in `vqvae.`.
    prefix: &'static str,
    /// Resolutions, each half of the one before.
    levels: usize,
    /// Residual blocks of a level of the encoder; the decoder has one more.
    blocks: usize,
    codes: usize,
    heads: usize,
    /// Whether `heads` was assumed.
    assumed: bool,
    /// Levels of the decoder that attend to the encoder.
    attending: Vec<usize>,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let prefix = ["", "vqvae."].into_iter().find(|prefix| {
        let has = |name: &str| checkpoint.contains(&format!("{prefix}{name}"));
        (has("quant_conv.weight") || has("post_quant_conv.weight"))
            && (has("encoder.conv_in.weight") || has("decoder.conv_in.weight"))
    })?;
    // Its decoder attends to the encoder, which a VQGAN's and a VAE's does not.
    let start = format!("{prefix}decoder.");
    let attends = |name: &str| name.starts_with(&start) && name.contains(".norm2.");
    let attends = |name: &str| attends(name) && name.contains(".attn");
    if !checkpoint.tensors().any(|p| attends(&p.name)) {
        return None;
    }
    Some(read(checkpoint, prefix, options).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint, prefix: &'static str, options: &Options) -> Result<RestoreFormer> {
    // Any tensor of a block shows that it is there: the missing ones are named when it is built.
    let has = |start: &str| checkpoint.has_prefix(&format!("{prefix}{start}."));
    let levels = (0..).take_while(|i| has(&format!("encoder.down.{i}.block"))).count();
    let blocks = (0..).take_while(|j| has(&format!("encoder.down.0.block.{j}"))).count();
    let attending: Vec<usize> =
        (0..levels).filter(|i| has(&format!("decoder.up.{i}.attn"))).collect();
    if levels == 0 || attending.last() != Some(&(levels - 1)) {
        return Err(Error::Tensor {
            name: format!("{prefix}decoder.up.{}.attn.0.q.weight", levels.saturating_sub(1)),
            what: format!("is missing from {}", checkpoint.path().display()),
        });
    }
    let codes = checkpoint.rows(&format!("{prefix}quantize.embedding.weight"))?;
    let usual = if attending.len() > 1 { PLUS_HEADS } else { HEADS };
    let stated = options.heads.or(super::stated_heads(checkpoint));
    let (heads, assumed) = (stated.unwrap_or(usual), stated.is_none());
    Ok(RestoreFormer { prefix, levels, blocks, codes, heads, assumed, attending })
}

/// What the decoder attends to.
struct Features {
    /// After the blocks of each level.
    levels: Vec<NodeId>,
    /// After the first block in the middle.
    before_middle: NodeId,
    /// After the last block in the middle.
    middle: NodeId,
}

impl RestoreFormer {
    fn name_of(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// The latent picture, and what the decoder attends to.
    fn encode(&self, b: &mut Builder, x: NodeId) -> Result<(NodeId, Features)> {
        let mut x = b.conv(x, &self.name_of("encoder.conv_in"), ConvSpec::same(3))?;
        let mut levels = Vec::new();
        for level in 0..self.levels {
            let name = self.name_of(&format!("encoder.down.{level}"));
            for block in 0..self.blocks {
                x = vqgan::res_block(b, x, &format!("{name}.block.{block}"), "nin_shortcut")?;
                if level + 1 == self.levels {
                    let name = format!("{name}.attn.{block}");
                    x = vqgan::attention(b, x, &name, "norm1", None, self.heads)?;
                }
            }
            levels.push(x);
            if level + 1 < self.levels {
                x = vqgan::downsample(b, x, &format!("{name}.downsample"))?;
            }
        }
        let name = |rest: &str| self.name_of(&format!("encoder.{rest}"));
        let before_middle = vqgan::res_block(b, x, &name("mid.block_1"), "nin_shortcut")?;
        let heads = self.heads;
        let y = vqgan::attention(b, before_middle, &name("mid.attn_1"), "norm1", None, heads)?;
        let middle = vqgan::res_block(b, y, &name("mid.block_2"), "nin_shortcut")?;
        let y = vqgan::norm_swish(b, middle, &name("norm_out"))?;
        let y = b.conv(y, &name("conv_out"), ConvSpec::same(3))?;
        Ok((y, Features { levels, before_middle, middle }))
    }

    fn decode(&self, b: &mut Builder, x: NodeId, features: &Features) -> Result<NodeId> {
        let name = |rest: &str| self.name_of(&format!("decoder.{rest}"));
        let attend = |b: &mut Builder, x, prefix: &str, to| {
            vqgan::attention(b, x, prefix, "norm1", Some((to, "norm2")), self.heads)
        };
        let x = b.conv(x, &name("conv_in"), ConvSpec::same(3))?;
        let x = vqgan::res_block(b, x, &name("mid.block_1"), "nin_shortcut")?;
        let x = attend(b, x, &name("mid.attn_1"), features.middle)?;
        let mut x = vqgan::res_block(b, x, &name("mid.block_2"), "nin_shortcut")?;
        for level in (0..self.levels).rev() {
            let name = name(&format!("up.{level}"));
            let to = match level + 1 == self.levels {
                true => features.before_middle,
                false => features.levels[level],
            };
            for block in 0..=self.blocks {
                x = vqgan::res_block(b, x, &format!("{name}.block.{block}"), "nin_shortcut")?;
                if self.attending.contains(&level) {
                    x = attend(b, x, &format!("{name}.attn.{block}"), to)?;
                }
            }
            if level > 0 {
                x = vqgan::upsample(b, x, &format!("{name}.upsample"))?;
            }
        }
        let x = vqgan::norm_swish(b, x, &name("norm_out"))?;
        b.conv(x, &name("conv_out"), ConvSpec::same(3).out(3))
    }
}

impl Network for RestoreFormer {
    fn name(&self) -> &'static str {
        if self.attending.len() > 1 { "RestoreFormer++" } else { "RestoreFormer" }
    }

    fn task(&self) -> Task {
        Task::RestoreFace { size: ATTENTION_SIZE << (self.levels - 1) }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let assumed = if self.assumed { " (assumed: the file cannot tell)" } else { "" };
        vec![
            ("levels", self.levels.to_string()),
            ("blocks per level", self.blocks.to_string()),
            ("codes", self.codes.to_string()),
            ("heads", format!("{}{assumed}", self.heads)),
            ("f16", super::CODES_IN_F32.to_owned()),
        ]
    }

    /// Attention in the encoder has the norm of a query from elsewhere, and no such query.
    fn training_only(&self) -> Vec<String> {
        let last = self.levels - 1;
        let blocks = (0..self.blocks).map(|block| format!("down.{last}.attn.{block}"));
        let layers = blocks.chain(["mid.attn_1".to_owned()]);
        let norms = layers.map(|layer| self.name_of(&format!("encoder.{layer}.norm2")));
        norms.flat_map(|norm| [format!("{norm}.weight"), format!("{norm}.bias")]).collect()
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn outputs(&self) -> &'static [&'static str] {
        &["output", "indices"]
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        let multiple = 1 << (self.levels - 1);
        if input.c != 3 || !input.h.is_multiple_of(multiple) || !input.w.is_multiple_of(multiple) {
            return Err(Error::Input(format!(
                "this network takes [N, 3, H, W] with multiples of {multiple}, the input is {input}"
            )));
        }
        let mut b = Builder::new(checkpoint);
        b.graph.set_exact(true);
        let x = b.graph.add_input("face", input);
        let (z, features) = self.encode(&mut b, x)?;
        let z = b.conv(z, &self.name_of("quant_conv"), ConvSpec::same(1))?;
        let [index, code] = vqgan::quantize(&mut b, z, &self.name_of("quantize.embedding.weight"))?;
        b.graph.set_exact(false);
        let x = b.conv(code, &self.name_of("post_quant_conv"), ConvSpec::same(1))?;
        let y = self.decode(&mut b, x, &features)?;
        b.graph.set_output(y);
        b.graph.set_output(index);
        Ok(b.graph)
    }
}
