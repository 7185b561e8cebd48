//! CodeFormer (Zhou et al. 2022): a transformer predicts which codes of a VQGAN's codebook a
//! degraded face shows; the generator may look at the face again. RGB in [-1, 1], one size.
//!
//! Its authors published two more of it: one that fills white holes (their program runs it with
//! fidelity 1 and without adaptive instance norm), and one that colours (with fidelity 0).

use std::collections::HashMap;

use super::{CodeFormerOptions, Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, ops};
use crate::nn::{Builder, ConvSpec, check_square, transformer, vqgan};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Side of the faces that the published networks were trained on.
const PUBLISHED_SIZE: usize = 512;
/// Codes of the one that fills holes.
const CODES_OF_HOLES: usize = 512;
/// Heads of the public checkpoint; the tensors do not tell.
const HEADS: usize = 8;
/// What its adaptive instance norm adds to variances.
const EPSILON: f32 = 1e-5;

#[derive(Debug)]
struct CodeFormer {
    encoder: Vec<Block>,
    generator: Vec<Block>,
    /// Rows and columns of the picture of codes.
    side: usize,
    codes: usize,
    /// Channels of a token.
    width: usize,
    layers: usize,
    heads: usize,
    /// Whether `heads` was assumed.
    assumed: bool,
    /// Sizes at which the generator can look at the encoder's features.
    fusions: Vec<usize>,
    kind: Kind,
    fidelity: f32,
    adain: bool,
}

/// Which of the published networks it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Restores,
    FillsHoles,
    Colours,
}

/// One entry of the flat list of blocks that encoder and generator are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Block {
    Conv,
    Residual,
    Attention,
    /// Halves the size in the encoder, doubles it in the generator.
    Sample,
    Norm,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let has = |name| checkpoint.contains(name);
    let transformer = has("position_emb") || has("idx_pred_layer.1.weight");
    let known = transformer && has("ft_layers.0.self_attn.in_proj_weight")
        || has("position_emb") && has("idx_pred_layer.1.weight");
    known.then(|| read(checkpoint, options).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint, options: &Options) -> Result<CodeFormer> {
    let misfit = |name: &str, what: String| Error::Tensor { name: name.to_owned(), what };
    let (table, choice) = ("quantize.embedding.weight", "idx_pred_layer.1.weight");
    let (codes, choices) = (checkpoint.rows(table)?, checkpoint.rows(choice)?);
    if codes != choices {
        let what = format!("has {codes} rows, {choice} chooses between {choices}");
        return Err(misfit(table, what));
    }
    let (tokens, width) = match checkpoint.dims("position_emb") {
        Some(&[tokens, width]) => (tokens, width),
        Some(dims) => return Err(misfit("position_emb", format!("has shape {dims:?}"))),
        None => {
            let what = format!("is missing from {}", checkpoint.path().display());
            return Err(misfit("position_emb", what));
        }
    };
    let side = tokens.isqrt();
    if side * side != tokens || tokens == 0 {
        let what = format!("has {tokens} rows, expected a square (one per code)");
        return Err(misfit("position_emb", what));
    }
    let fusions = (0..=usize::BITS - 1)
        .map(|bit| 1usize << bit)
        .filter(|size| checkpoint.has_prefix(&format!("fuse_convs_dict.{size}.")))
        .collect();
    let layers = (0..).take_while(|i| checkpoint.has_prefix(&format!("ft_layers.{i}."))).count();
    let stated = super::stated_heads(checkpoint);
    let network = CodeFormer {
        encoder: blocks(checkpoint, "encoder")?,
        generator: blocks(checkpoint, "generator")?,
        side,
        codes,
        width,
        layers,
        heads: options.heads.or(stated).unwrap_or(HEADS),
        assumed: options.heads.or(stated).is_none(),
        fusions,
        kind: Kind::Restores,
        fidelity: 0.5,
        adain: true,
    };
    // The two others have no fusion at half of the face's size.
    let half = network.fusions.contains(&(network.size() / 2));
    let published = network.size() == PUBLISHED_SIZE && !network.fusions.is_empty();
    let kind = match published && !half {
        true if codes == CODES_OF_HOLES => Kind::FillsHoles,
        true => Kind::Colours,
        false => Kind::Restores,
    };
    let usual = match kind {
        Kind::Restores => 0.5,
        Kind::FillsHoles => 1.0,
        Kind::Colours => 0.0,
    };
    let CodeFormerOptions { fidelity, adain } = options.codeformer;
    let fidelity = fidelity.unwrap_or(usual);
    if !(0.0..=1.0).contains(&fidelity) {
        return Err(Error::Input(format!("the fidelity is {fidelity}, expected 0 to 1")));
    }
    let adain = adain.unwrap_or(kind != Kind::FillsHoles);
    Ok(CodeFormer { kind, fidelity, adain, ..network })
}

/// What stands in `{part}.blocks`: a convolution, then blocks that their tensors' names tell apart,
/// then a norm and a convolution.
fn blocks(checkpoint: &Checkpoint, part: &str) -> Result<Vec<Block>> {
    let start = format!("{part}.blocks.");
    let mut kinds: HashMap<usize, Block> = HashMap::new();
    for param in checkpoint.tensors() {
        let Some((index, rest)) =
            param.name.strip_prefix(&start).and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let Ok(index) = index.parse() else { continue };
        let kind = match rest.split('.').next() {
            Some("norm1" | "norm2" | "conv1" | "conv2" | "conv_out") => Block::Residual,
            Some("norm" | "q" | "k" | "v" | "proj_out") => Block::Attention,
            Some("conv") => Block::Sample,
            _ => Block::Conv,
        };
        kinds.insert(index, kind);
    }
    let count = kinds.len();
    let at = |index: usize| match kinds.get(&index) {
        Some(Block::Conv) if index + 2 == count => Ok(Block::Norm),
        Some(kind) => Ok(*kind),
        None => Err(Error::Tensor {
            name: format!("{start}{index}.weight"),
            what: format!("is missing from {}", checkpoint.path().display()),
        }),
    };
    (0..count).map(at).collect()
}

impl CodeFormer {
    fn size(&self) -> usize {
        self.side << self.encoder.iter().filter(|&&block| block == Block::Sample).count()
    }

    /// Its features before each halving, by size, and the latent picture.
    fn encode(&self, b: &mut Builder, mut x: NodeId) -> Result<(HashMap<usize, NodeId>, NodeId)> {
        let mut features = HashMap::new();
        for (index, &block) in self.encoder.iter().enumerate() {
            let name = format!("encoder.blocks.{index}");
            if block == Block::Sample {
                features.insert(b.shape(x).w, x);
                x = vqgan::downsample(b, x, &name)?;
            } else {
                x = plain(b, x, block, &name)?;
            }
        }
        Ok((features, x))
    }

    /// One value per code and pixel; the highest names the code.
    fn logits(&self, b: &mut Builder, latent: NodeId) -> Result<NodeId> {
        let [tokens, width, side] = [self.side * self.side, self.width, self.side];
        let table = b.checkpoint().require("position_emb", &[tokens, width])?.to_f32();
        let columns = (0..width).flat_map(|c| table[c..].iter().step_by(width).copied());
        let columns: Vec<f32> = columns.collect();
        let value = b.computed("position_emb", vec![1, width, side, side], &columns);
        let batch = b.shape(latent).n;
        let position = b.add(ops::Constant { value, batch }, &[])?;
        let mut x = b.conv(latent, "feat_emb", ConvSpec::same(1).out(width))?;
        for layer in 0..self.layers {
            x = transformer::layer(b, x, position, &format!("ft_layers.{layer}"), self.heads)?;
        }
        let x = transformer::layer_norm(b, x, "idx_pred_layer.0")?;
        b.conv(x, "idx_pred_layer.1", ConvSpec::same(1).without_bias().out(self.codes))
    }

    fn generate(
        &self,
        b: &mut Builder,
        mut x: NodeId,
        features: &HashMap<usize, NodeId>,
    ) -> Result<NodeId> {
        let mut enlarged = false;
        for (index, &block) in self.generator.iter().enumerate() {
            let name = format!("generator.blocks.{index}");
            if block == Block::Sample {
                x = vqgan::upsample(b, x, &name)?;
                enlarged = true;
                continue;
            }
            x = plain(b, x, block, &name)?;
            // After the first block of each size, at most.
            let size = b.shape(x).w;
            let fusion = std::mem::take(&mut enlarged) && self.fusions.contains(&size);
            if let Some(&feature) = features.get(&size).filter(|_| fusion)
                && self.fidelity > 0.0
            {
                let name = format!("fuse_convs_dict.{size}");
                x = vqgan::fuse(b, feature, x, &name, self.fidelity)?;
            }
        }
        Ok(x)
    }
}

/// A block that keeps the size.
fn plain(b: &mut Builder, x: NodeId, block: Block, name: &str) -> Result<NodeId> {
    match block {
        Block::Residual => vqgan::res_block(b, x, name, "conv_out"),
        Block::Attention => vqgan::attention(b, x, name, "norm", None, 1),
        Block::Norm => vqgan::group_norm(b, x, name),
        Block::Conv | Block::Sample => b.conv(x, name, ConvSpec::same(3)),
    }
}

impl Network for CodeFormer {
    fn name(&self) -> &'static str {
        "CodeFormer"
    }

    fn task(&self) -> Task {
        Task::RestoreFace { size: self.size() }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let assumed = if self.assumed { " (assumed: the file cannot tell)" } else { "" };
        vec![
            ("size", self.size().to_string()),
            ("codes", format!("{} × {} of {}", self.side, self.side, self.codes)),
            ("layers", self.layers.to_string()),
            ("heads", format!("{}{assumed}", self.heads)),
            (
                "made to",
                match self.kind {
                    Kind::Restores => "restore",
                    Kind::FillsHoles => "fill white holes (by its codes and its fusions)",
                    Kind::Colours => "colour (by its codes and its fusions)",
                }
                .to_owned(),
            ),
            ("fidelity", self.fidelity.to_string()),
            ("adaptive instance norm", if self.adain { "on" } else { "off" }.to_owned()),
            ("f16", super::CODES_IN_F32.to_owned()),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn outputs(&self) -> &'static [&'static str] {
        &["output", "indices", "logits", "lq_feat"]
    }

    /// Fidelity 0 leaves the fusions out.
    fn build_whole(&self, checkpoint: &Checkpoint) -> Result<Graph> {
        let (encoder, generator) = (self.encoder.clone(), self.generator.clone());
        let fusions = self.fusions.clone();
        let whole = Self { fidelity: 1.0, encoder, generator, fusions, ..*self };
        whole.build(checkpoint, self.input_shape(64, 64))
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        check_square(input, self.size())?;
        let mut b = Builder::new(checkpoint);
        b.graph.set_exact(true);
        let x = b.graph.add_input("face", input);
        let (features, latent) = self.encode(&mut b, x)?;
        let logits = self.logits(&mut b, latent)?;
        let index = b.add(ops::ArgMax, &[logits])?;
        let channels = b.shape(latent).c;
        let table = b.param("quantize.embedding.weight", &[self.codes, channels], 1.0)?;
        let mut code = b.add(ops::Embedding(table), &[index])?;
        b.graph.set_exact(false);
        if self.adain {
            code = b.add(ops::AdaIn { epsilon: EPSILON }, &[code, latent])?;
        }
        let y = self.generate(&mut b, code, &features)?;
        for output in [y, index, logits, latent] {
            b.graph.set_output(output);
        }
        Ok(b.graph)
    }
}
