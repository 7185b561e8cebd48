//! BiSeNet (Yu et al. 2018, arXiv 1808.00897) as facexlib trained it on faces: which part of a face
//! each pixel shows. A ResNet-18, attention over channels, and two coarse maps that join the fine
//! one. RGB in [-1, 1] of any size, logits of as many pixels.

use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, Interpolation, NodeId, ops};
use crate::nn::batch_norm::Normalised;
use crate::nn::{Builder, ConvSpec, resnet};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Side of the faces that public checkpoints were trained on.
const SIZE: usize = 512;
/// Of CelebAMask-HQ's 19 classes as facexlib's checkpoint orders them: background, skin, brows, eyes,
/// glasses, ears, earring, nose, mouth, lips, neck, necklace, clothes, hair, hat.
const FACE_CLASSES: [bool; 19] = [
    false, true, true, true, true, true, true, true, true, true, true, true, true, true, false,
    false, false, true, false,
];

#[derive(Debug)]
struct BiSeNet {
    classes: usize,
    /// Whether the two coarse maps, which only the training needs, are outputs.
    auxiliary: bool,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| checkpoint.has_prefix(prefix);
    if !has("cp.resnet.") || !has("ffm.") {
        return None;
    }
    let classes = checkpoint.usual("", ".conv_out.weight", 0);
    let auxiliary = options.auxiliary;
    Some(classes.map(|classes| Box::new(BiSeNet { classes, auxiliary }) as Box<dyn Network>))
}

/// Convolution, normalisation, ReLU.
fn active(b: &mut Builder, x: NodeId, name: &str, kernel: usize) -> Result<NodeId> {
    let names = Normalised { conv: &format!("{name}.conv"), norm: &format!("{name}.bn") };
    let y = b.conv_norm(x, names, ConvSpec::same(kernel).without_bias())?;
    b.leaky_relu(y, 0.0)
}

/// The mean over all pixels, `[N, C, 1, 1]`.
fn mean(b: &mut Builder, x: NodeId) -> Result<NodeId> {
    b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[x])
}

/// Attention refinement: channels weighted by what the whole picture shows.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn refine(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let y = active(b, x, &format!("{prefix}conv"), 3)?;
    let factors = mean(b, y)?;
    let names =
        Normalised { conv: &format!("{prefix}conv_atten"), norm: &format!("{prefix}bn_atten") };
    let channels = b.shape(y).c;
    let factors = b.linear_norm(factors, names, channels)?;
    let factors = b.add(Activation::Sigmoid, &[factors])?;
    b.add(ops::ScaleChannels, &[y, factors])
}

/// The features at an eighth of the size, and the coarse ones at an eighth and a sixteenth.
fn context(b: &mut Builder, x: NodeId) -> Result<[NodeId; 3]> {
    let prefix = "cp.resnet.";
    let x = resnet::stem(b, x, prefix)?;
    let x = resnet::layer(b, x, prefix, 1)?;
    let eighth = resnet::layer(b, x, prefix, 2)?;
    let sixteenth = resnet::layer(b, eighth, prefix, 3)?;
    let last = resnet::layer(b, sixteenth, prefix, 4)?;

    let whole = mean(b, last)?;
    let out = b.checkpoint().rows("cp.conv_avg.conv.weight")?;
    let names = Normalised { conv: "cp.conv_avg.conv", norm: "cp.conv_avg.bn" };
    let whole = b.linear_norm(whole, names, out)?;
    let whole = b.leaky_relu(whole, 0.0)?;
    let whole = b.resize_like(whole, last, Interpolation::Nearest)?;

    let y = refine(b, last, "cp.arm32.")?;
    let y = b.add(ops::Add, &[y, whole])?;
    let y = b.resize_like(y, sixteenth, Interpolation::Nearest)?;
    let coarse = active(b, y, "cp.conv_head32", 3)?;

    let y = refine(b, sixteenth, "cp.arm16.")?;
    let y = b.add(ops::Add, &[y, coarse])?;
    let y = b.resize_like(y, eighth, Interpolation::Nearest)?;
    let fine = active(b, y, "cp.conv_head16", 3)?;
    Ok([eighth, fine, coarse])
}

/// Feature fusion: `f + f·attention(f)` of both paths' features.
fn fuse(b: &mut Builder, features: [NodeId; 2]) -> Result<NodeId> {
    let both = b.add(ops::Concat, &features)?;
    let y = active(b, both, "ffm.convblk", 1)?;
    let mut factors = mean(b, y)?;
    let narrow = b.checkpoint().rows("ffm.conv1.weight")?;
    for (name, out, activation) in [
        ("ffm.conv1.weight", narrow, Activation::LeakyRelu(0.0)),
        ("ffm.conv2.weight", b.shape(y).c, Activation::Sigmoid),
    ] {
        let dims = [out, b.shape(factors).c];
        let weight = b.weight(factors, name, &dims, 1.0)?;
        factors = b.add_scoped(name, ops::Linear(weight), &[factors])?;
        factors = b.add(activation, &[factors])?;
    }
    let weighted = b.add(ops::ScaleChannels, &[y, factors])?;
    b.add(ops::Add, &[weighted, y])
}

impl BiSeNet {
    /// Class logits at the input's size.
    fn head(&self, b: &mut Builder, x: NodeId, name: &str, input: NodeId) -> Result<NodeId> {
        let y = active(b, x, &format!("{name}.conv"), 3)?;
        let spec = ConvSpec::same(1).without_bias().out(self.classes);
        let y = b.conv(y, &format!("{name}.conv_out"), spec)?;
        b.resize_like(y, input, Interpolation::BilinearAlignCorners)
    }
}

impl Network for BiSeNet {
    fn name(&self) -> &'static str {
        "BiSeNet"
    }

    fn task(&self) -> Task {
        Task::Parse { size: SIZE, classes: self.classes }
    }

    fn face_classes(&self) -> Option<&'static [bool]> {
        (self.classes == FACE_CLASSES.len()).then_some(&FACE_CLASSES)
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("classes", self.classes.to_string()),
            ("size", format!("{SIZE} (assumed: the file does not say what it was trained on)")),
        ]
    }

    /// The two coarse maps, which only its training needs.
    fn training_only(&self) -> Vec<String> {
        let parts = ["conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"];
        let mut names = Vec::new();
        for map in ["conv_out16", "conv_out32"] {
            names.extend(parts.map(|part| format!("{map}.conv.{part}")));
            names.push(format!("{map}.conv_out.weight"));
        }
        names
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        if input.c != 3 {
            return Err(Error::Input(format!("this network takes 3 channels, got {input}")));
        }
        let mut b = Builder::new(checkpoint);
        let face = b.graph.add_input("face", input);
        let [eighth, fine, coarse] = context(&mut b, face)?;
        let y = fuse(&mut b, [eighth, fine])?;
        let y = self.head(&mut b, y, "conv_out", face)?;
        if self.auxiliary {
            b.graph.set_output(y);
            let y = self.head(&mut b, fine, "conv_out16", face)?;
            b.graph.set_output(y);
            let y = self.head(&mut b, coarse, "conv_out32", face)?;
            return Ok(b.finish(y));
        }
        Ok(b.finish(y))
    }
}
