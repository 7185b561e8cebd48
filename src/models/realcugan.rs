//! Real-CUGAN (bilibili): two U-Nets one after the other without padding, for drawings. RGB in
//! [0, 1]; the "pro" files, which hold an entry `pro`, work on `0.7·x + 0.15`.
//!
//! Its channel attention averages over all of the picture: in tiles, over each tile.

use super::enlarger;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, NodeId, Padding, ops};
use crate::nn::border::{crop, crop_to, mirrored};
use crate::nn::transposed::{Transposed, conv_transpose};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.1;
/// What the pro files make of a picture: factor and summand.
const PRO: [f32; 2] = [0.7, 0.15];

/// The published networks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variant {
    /// `UpCunet2x`
    Double,
    /// `UpCunet3x`
    Triple,
    /// `UpCunet4x`
    Quadruple,
    /// `UpCunet2x_fast`: the quadruple one on unshuffled pixels.
    Fast,
}

impl Variant {
    fn factor(self) -> usize {
        match self {
            Variant::Double | Variant::Fast => 2,
            Variant::Triple => 3,
            Variant::Quadruple => 4,
        }
    }

    /// Mirrored pixels around the picture, which the convolutions use up.
    fn border(self) -> usize {
        match self {
            Variant::Double => 18,
            Variant::Triple => 14,
            Variant::Quadruple => 19,
            Variant::Fast => 38,
        }
    }

    /// Sides of the picture are mirrored up to multiples of this, for the halvings.
    fn multiple(self) -> usize {
        match self {
            Variant::Double | Variant::Quadruple => 2,
            Variant::Triple | Variant::Fast => 4,
        }
    }

    /// How the first U-Net enlarges.
    fn enlarging(self) -> Transposed {
        match self {
            Variant::Triple => Transposed { kernel: 5, stride: 3, padding: 2, bias: true },
            _ => Transposed { kernel: 4, stride: 2, padding: 3, bias: true },
        }
    }
}

#[derive(Debug)]
struct RealCugan {
    variant: Variant,
    pro: bool,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let known = checkpoint.has_prefix("unet1.conv1.conv.")
        && checkpoint.has_prefix("unet2.conv4.")
        && checkpoint.has_prefix("unet2.conv_bottom.");
    known.then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<RealCugan> {
    let inputs = enlarger::inputs(checkpoint, "unet1.conv1.conv.0.weight")?;
    let pro = checkpoint.contains("pro")
        || checkpoint.skipped().iter().any(|name| name.starts_with("pro ("))
        || checkpoint.metadata("pro").is_some();
    let last = checkpoint.contains("conv_final.weight") || checkpoint.contains("conv_final.bias");
    let variant = match (last, checkpoint.dims("unet1.conv_bottom.weight")) {
        (true, _) if inputs == 12 => Variant::Fast,
        (true, _) => Variant::Quadruple,
        (false, Some([.., 5])) => Variant::Triple,
        _ => Variant::Double,
    };
    if pro && variant == Variant::Fast {
        let what = "marks a pro file, but the fast network has no such files".to_owned();
        return Err(Error::Tensor { name: "pro".to_owned(), what });
    }
    Ok(RealCugan { variant, pro })
}

/// Without padding, with bias.
fn bare(kernel: usize, stride: usize) -> ConvSpec {
    ConvSpec { stride, padding: Padding::all(0), ..ConvSpec::same(kernel) }
}

fn active(b: &mut Builder, x: NodeId, name: &str, spec: ConvSpec) -> Result<NodeId> {
    let y = b.conv(x, name, spec)?;
    b.leaky_relu(y, SLOPE)
}

/// Two convolutions, and with `attention` a factor per channel from the channels' means.
fn convs(b: &mut Builder, x: NodeId, name: &str, attention: bool) -> Result<NodeId> {
    let y = active(b, x, &format!("{name}.conv.0"), bare(3, 1))?;
    let y = active(b, y, &format!("{name}.conv.2"), bare(3, 1))?;
    if !attention {
        return Ok(y);
    }
    let channels = b.shape(y).c;
    let mean = b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[y])?;
    let hidden = b.conv(mean, &format!("{name}.seblock.conv1"), ConvSpec::same(1))?;
    let hidden = b.leaky_relu(hidden, 0.0)?;
    let spec = ConvSpec::same(1).out(channels);
    let factor = b.conv(hidden, &format!("{name}.seblock.conv2"), spec)?;
    let factor = b.add(Activation::Sigmoid, &[factor])?;
    b.add(ops::ScaleChannels, &[y, factor])
}

fn halved(b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
    active(b, x, name, bare(2, 2))
}

/// Doubled, plus `skip` without `cut` pixels at each side.
fn doubled(b: &mut Builder, x: NodeId, name: &str, skip: NodeId, cut: i32) -> Result<NodeId> {
    let spec = Transposed { kernel: 2, stride: 2, padding: 0, bias: true };
    let y = conv_transpose(b, x, name, spec)?;
    let y = b.leaky_relu(y, SLOPE)?;
    let skip = crop(b, skip, Padding::all(cut))?;
    b.add(ops::Add, &[y, skip])
}

/// The first U-Net, one level deep; it enlarges in the end.
fn first_unet(b: &mut Builder, x: NodeId, enlarging: Transposed) -> Result<NodeId> {
    let top = convs(b, x, "unet1.conv1", false)?;
    let y = halved(b, top, "unet1.conv1_down")?;
    let y = convs(b, y, "unet1.conv2", true)?;
    let y = doubled(b, y, "unet1.conv2_up", top, 4)?;
    let y = active(b, y, "unet1.conv3", bare(3, 1))?;
    conv_transpose(b, y, "unet1.conv_bottom", enlarging)
}

/// The second U-Net, two levels deep.
fn second_unet(b: &mut Builder, x: NodeId) -> Result<NodeId> {
    let top = convs(b, x, "unet2.conv1", false)?;
    let y = halved(b, top, "unet2.conv1_down")?;
    let middle = convs(b, y, "unet2.conv2", true)?;
    let y = halved(b, middle, "unet2.conv2_down")?;
    let y = convs(b, y, "unet2.conv3", true)?;
    let y = doubled(b, y, "unet2.conv3_up", middle, 4)?;
    let y = convs(b, y, "unet2.conv4", true)?;
    let y = doubled(b, y, "unet2.conv4_up", top, 16)?;
    let y = active(b, y, "unet2.conv5", bare(3, 1))?;
    b.conv(y, "unet2.conv_bottom", bare(3, 1))
}

impl Network for RealCugan {
    fn name(&self) -> &'static str {
        "Real-CUGAN"
    }

    fn task(&self) -> Task {
        // A block of `multiple` pixels depends on the border's width around it.
        let (align, border) = (self.variant.multiple(), self.variant.border());
        let factor = self.variant.factor();
        Task::Upscale { factor, radius: border + align - 1, multiple: 1, align }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let variant = match (self.variant, self.pro) {
            (Variant::Fast, _) => "fast",
            (_, true) => "pro",
            (_, false) => "plain",
        };
        vec![("factor", self.variant.factor().to_string()), ("variant", variant.to_owned())]
    }

    /// The mark of a pro file.
    fn training_only(&self) -> Vec<String> {
        vec!["pro".to_owned()]
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
        let mut picture = b.graph.add_input("picture", input);
        let [factor, offset] = PRO;
        if self.pro {
            picture = enlarger::affine(&mut b, picture, factor, &[offset; 3])?;
        }
        let variant = self.variant;
        let before = variant.border() as i32;
        let after =
            |n: usize| (n.next_multiple_of(variant.multiple()) - n + variant.border()) as i32;
        let (bottom, right) = (after(input.h), after(input.w));
        let border = Padding { top: before, left: before, bottom, right };
        let mut x = mirrored(&mut b, picture, border)?;
        if variant == Variant::Fast {
            x = b.add(ops::PixelUnshuffle(2), &[x])?;
        }
        let large = first_unet(&mut b, x, variant.enlarging())?;
        let detail = second_unet(&mut b, large)?;
        let large = crop(&mut b, large, Padding::all(20))?;
        let mut y = b.add(ops::Add, &[detail, large])?;
        let times = variant.factor();
        let (height, width) = (times * input.h, times * input.w);
        if matches!(variant, Variant::Quadruple | Variant::Fast) {
            y = b.conv(y, "conv_final", bare(3, 1).out(12))?;
            y = crop(&mut b, y, Padding::all(1))?;
            y = b.add(ops::PixelShuffle(2), &[y])?;
            y = crop_to(&mut b, y, height, width)?;
            let base = b.nearest(picture, times)?;
            y = b.add(ops::Add, &[y, base])?;
        } else {
            y = crop_to(&mut b, y, height, width)?;
        }
        if b.shape(y).c != 3 {
            let name = "unet2.conv_bottom.weight".to_owned();
            let what = format!("gives {} channels, expected 3", b.shape(y).c);
            return Err(Error::Tensor { name, what });
        }
        if self.pro {
            y = enlarger::shifted(&mut b, y, &[-offset; 3], factor.recip())?;
        }
        Ok(b.finish(y))
    }
}
