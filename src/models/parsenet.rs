//! ParseNet of facexlib: which part of a face each pixel shows. A residual U without skips, all
//! borders mirrored. RGB in [-1, 1] of any size that it can halve, logits of as many pixels.

use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, Padding, ops};
use crate::nn::batch_norm::Normalised;
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Side of the faces that public checkpoints were trained on.
const SIZE: usize = 512;
/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.2;
/// Of facexlib's 19 classes: background, skin, nose, glasses, eyes, brows, ears, mouth, lips, hair,
/// hat, earring, necklace, neck, clothes.
pub const FACE_CLASSES: [bool; 19] = [
    false, true, true, true, true, true, true, true, true, true, true, true, true, true, false,
    true, false, false, false,
];

#[derive(Debug)]
struct ParseNet {
    /// Times that the encoder halves and the decoder doubles.
    downs: usize,
    /// Residual blocks between them.
    blocks: usize,
    classes: usize,
    /// Whether the picture that it also predicts is an output.
    auxiliary: bool,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| checkpoint.has_prefix(prefix);
    if !has("out_mask_conv.conv2d.") || !has("encoder.0.conv2d.") {
        return None;
    }
    Some(read(checkpoint, options.auxiliary).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint, auxiliary: bool) -> Result<ParseNet> {
    let downs = checkpoint.numbered("encoder.").saturating_sub(1);
    let ups = checkpoint.numbered("decoder.");
    if downs != ups || downs == 0 || downs > 8 {
        return Err(Error::UnknownArchitecture(format!(
            "a ParseNet that halves {downs} times and doubles {ups} times"
        )));
    }
    let classes = checkpoint.rows("out_mask_conv.conv2d.weight")?;
    Ok(ParseNet { downs, blocks: checkpoint.numbered("body."), classes, auxiliary })
}

/// The effect of a convolution on the size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Nothing.
    Keep,
    /// Halves it.
    Half,
    /// Doubles it.
    Double,
}

/// Nearest ×2 when it doubles, mirrored border, 3×3 convolution, its normalisation when `norm`.
fn layer(
    b: &mut Builder,
    x: NodeId,
    name: &str,
    scale: Scale,
    norm: bool,
    out: Option<usize>,
) -> Result<NodeId> {
    let x = if scale == Scale::Double { b.nearest(x, 2)? } else { x };
    let x = b.add(ops::ReflectPad(Padding::all(1)), &[x])?;
    let stride = if scale == Scale::Half { 2 } else { 1 };
    let spec = ConvSpec { out, stride, padding: Padding::all(0), ..ConvSpec::same(3) };
    let conv = format!("{name}.conv2d");
    if norm {
        let names = Normalised { conv: &conv, norm: &format!("{name}.norm.norm") };
        b.conv_norm(x, names, spec.without_bias())
    } else {
        b.conv(x, &conv, spec)
    }
}

/// `conv2(lrelu(conv1(x)))` plus `x`, or plus a convolution of it where its shape changes.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn res_block(b: &mut Builder, x: NodeId, prefix: &str, scale: Scale) -> Result<NodeId> {
    let [first, second] = match scale {
        Scale::Keep => [Scale::Keep; 2],
        Scale::Half => [Scale::Keep, Scale::Half],
        Scale::Double => [Scale::Double, Scale::Keep],
    };
    let shortcut_name = format!("{prefix}shortcut_func");
    let changes = b.checkpoint().has_prefix(&shortcut_name);
    let shortcut = match changes || scale != Scale::Keep {
        true => layer(b, x, &shortcut_name, scale, false, None)?,
        false => x,
    };
    let out = Some(b.shape(shortcut).c);
    let y = layer(b, x, &format!("{prefix}conv1"), first, true, out)?;
    let y = b.leaky_relu(y, SLOPE)?;
    let y = layer(b, y, &format!("{prefix}conv2"), second, true, out)?;
    b.add(ops::Add, &[y, shortcut])
}

impl Network for ParseNet {
    fn name(&self) -> &'static str {
        "ParseNet"
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
            ("halvings", self.downs.to_string()),
            ("blocks", self.blocks.to_string()),
            ("size", format!("{SIZE} (assumed: the file does not say what it was trained on)")),
        ]
    }

    /// The picture, which only its training needs.
    fn training_only(&self) -> Vec<String> {
        ["out_img_conv.conv2d.weight", "out_img_conv.conv2d.bias"].map(str::to_owned).to_vec()
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        let multiple = 1 << self.downs;
        let fits = |n: usize| n.is_multiple_of(multiple) && n / multiple > 1;
        if input.c != 3 || !fits(input.h) || !fits(input.w) {
            return Err(Error::Input(format!(
                "this network takes [N, 3, H, W] with sides that are multiples of {multiple} and \
                 larger, the input is {input}"
            )));
        }
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("face", input);
        let mut x = layer(&mut b, x, "encoder.0", Scale::Keep, false, None)?;
        for i in 1..=self.downs {
            x = res_block(&mut b, x, &format!("encoder.{i}."), Scale::Half)?;
        }
        let encoded = x;
        for i in 0..self.blocks {
            x = res_block(&mut b, x, &format!("body.{i}."), Scale::Keep)?;
        }
        x = b.add(ops::Add, &[x, encoded])?;
        for i in 0..self.downs {
            x = res_block(&mut b, x, &format!("decoder.{i}."), Scale::Double)?;
        }
        let classes = Some(self.classes);
        let mask = layer(&mut b, x, "out_mask_conv", Scale::Keep, false, classes)?;
        if self.auxiliary {
            b.graph.set_output(mask);
            let picture = layer(&mut b, x, "out_img_conv", Scale::Keep, false, Some(3))?;
            return Ok(b.finish(picture));
        }
        Ok(b.finish(mask))
    }
}
