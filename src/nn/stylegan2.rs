//! Blocks of StyleGAN2 (Karras et al. 2020) in its two public families: the original with FIR
//! resampling and the "clean" one with bilinear resampling. Numerics of rosinality's, BasicSR's and
//! GFPGAN's implementations.

use super::Builder;
use crate::Result;
use crate::graph::{Conv2d, NodeId, Padding, ParamId, ops};

/// How a family resamples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resample {
    /// Bilinear ×2 before the convolution.
    Bilinear,
    /// Transposed convolution, then the filter `[1, 3, 3, 1]`.
    Fir,
}

/// The differences between the public implementations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Family {
    /// How images double.
    pub resample: Resample,
    /// Whether weights are scaled by 1/√fan_in at run time and the activation has gain √2;
    /// otherwise √2 multiplies the convolution, before noise and bias ("clean").
    pub equalised: bool,
}

/// The effect of a modulated convolution on the size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sampling {
    /// Nothing.
    Keep,
    /// Doubles it.
    Up,
    /// Halves it.
    Down,
}

/// Where a modulated convolution's tensors are.
#[derive(Clone, Copy, Debug)]
pub struct Modulated<'n> {
    /// Name of `[O, I, k, k]`, possibly with leading ones.
    pub weight: &'n str,
    /// Prefix of the affine layer's `.weight` `[I, D]` and `.bias` `[I]`.
    pub modulation: &'n str,
    /// Name of a stored `[4, 4]` filter, for the FIR family; without it `[1, 3, 3, 1]` is used.
    pub filter: Option<&'n str>,
    /// Output channels.
    pub out: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Whether the output is larger or smaller than the input.
    pub sampling: Sampling,
    /// Whether output channels are normalised.
    pub demodulate: bool,
}

/// StyleGAN2's filter `outer([1,3,3,1], [1,3,3,1]) / 64` times `gain`: 4 after zeros were inserted,
/// 1 before samples are dropped.
pub fn fir_kernel(b: &mut Builder, gain: f32) -> ParamId {
    let tap = [1.0f32, 3.0, 3.0, 1.0];
    let values: Vec<f32> = tap.iter().flat_map(|v| tap.map(|h| v * h / 64.0 * gain)).collect();
    b.computed("fir", vec![4, 4], &values)
}

fn filter(b: &mut Builder, stored: Option<&str>, gain: f32) -> Result<ParamId> {
    match stored {
        Some(name) => b.param(name, &[4, 4], 1.0),
        None => Ok(fir_kernel(b, gain)),
    }
}

/// The modulated convolution with its resampling; no noise, no bias.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn modulated_conv(
    b: &mut Builder,
    family: Family,
    x: NodeId,
    latent: NodeId,
    names: Modulated,
) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let style = if family.equalised {
        b.equal_linear(latent, names.modulation, channels, 1.0)
    } else {
        b.linear(latent, names.modulation, channels, [1.0, 1.0])
    };
    let style = style.map_err(|error| b.after(x, error))?;
    let fan_in = (channels * names.kernel * names.kernel) as f32;
    let scale = if family.equalised { 1.0 / fan_in.sqrt() } else { 1.0 };
    let dims = [names.out, channels, names.kernel, names.kernel];
    let weight = b.weight(x, names.weight, &dims, scale)?;
    let mut conv = Conv2d::same(weight, names.kernel);
    let layer = names.weight.trim_end_matches(".weight");
    let demodulate = names.demodulate;
    let x = match (names.sampling, family.resample) {
        (Sampling::Keep, _) => x,
        (Sampling::Up, Resample::Bilinear) => b.bilinear(x, 2.0)?,
        (Sampling::Down, Resample::Bilinear) => b.bilinear(x, 0.5)?,
        (Sampling::Up, Resample::Fir) => {
            let kernel = filter(b, names.filter, 4.0)?;
            conv = Conv2d { stride: 2, padding: Padding::all(0), ..conv };
            let op = ops::ModulatedConvTranspose2d { conv, demodulate };
            let y = b.graph.scoped(layer, |graph| graph.add(op, &[x, style]))?;
            let blur = ops::Upfirdn2d { kernel, up: 1, down: 1, padding: Padding::all(1) };
            return b.add(blur, &[y]);
        }
        (Sampling::Down, Resample::Fir) => {
            let kernel = filter(b, names.filter, 1.0)?;
            conv = Conv2d { stride: 2, padding: Padding::all(0), ..conv };
            let blur = ops::Upfirdn2d { kernel, up: 1, down: 1, padding: Padding::all(2) };
            b.add(blur, &[x])?
        }
    };
    let op = ops::ModulatedConv2d { conv, demodulate };
    Ok(b.graph.scoped(layer, |graph| graph.add(op, &[x, style]))?)
}

/// Where a styled convolution's own tensors are.
#[derive(Clone, Copy, Debug)]
pub struct Styled<'n> {
    /// The convolution.
    pub conv: Modulated<'n>,
    /// Names of the noise `[1, 1, H, W]` and of its strength; `None`: no noise.
    pub noise: Option<(&'n str, &'n str)>,
    /// Name of the bias `[O]`.
    pub bias: &'n str,
}

/// Modulated convolution, noise, bias, activation:
/// `√2·lrelu(conv + w·noise + b)`, or `lrelu(√2·conv + w·noise + b)` in the clean family.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn styled_conv(
    b: &mut Builder,
    family: Family,
    x: NodeId,
    latent: NodeId,
    names: Styled,
) -> Result<NodeId> {
    let mut y = modulated_conv(b, family, x, latent, names.conv)?;
    if !family.equalised {
        y = b.add(ops::Scale(std::f32::consts::SQRT_2), &[y])?;
    }
    if let Some((noise, strength)) = names.noise {
        let shape = b.shape(y);
        let strength = b.scalar(strength)?;
        let noise = b.param(noise, &[1, 1, shape.h, shape.w], 1.0)?;
        y = b.add(ops::Noise { noise, strength }, &[y])?;
    }
    let bias = b.vector(y, names.bias)?;
    let y = b.add(ops::Bias(bias), &[y])?;
    if family.equalised { b.scaled_leaky_relu(y) } else { b.leaky_relu(y, 0.2) }
}

/// `modconv1×1(x) + bias`, plus the doubled `skip`; no demodulation, no activation.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn to_rgb(
    b: &mut Builder,
    family: Family,
    x: NodeId,
    latent: NodeId,
    names: Modulated,
    bias: &str,
    skip: Option<NodeId>,
) -> Result<NodeId> {
    let y = modulated_conv(b, family, x, latent, names)?;
    let bias = b.vector(y, bias)?;
    let y = b.add(ops::Bias(bias), &[y])?;
    let Some(skip) = skip else { return Ok(y) };
    let skip = match family.resample {
        Resample::Bilinear => b.bilinear(skip, 2.0)?,
        Resample::Fir => {
            let kernel = filter(b, names.filter, 4.0)?;
            b.fir_up(skip, kernel)?
        }
    };
    b.add(ops::Add, &[y, skip])
}

/// The mapping network: normalised `z`, then `layers` linear layers, named by `prefix`.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn mapping(
    b: &mut Builder,
    family: Family,
    z: NodeId,
    layers: usize,
    prefix: impl Fn(usize) -> String,
) -> Result<NodeId> {
    let width = b.shape(z).c;
    let mut w = b.add(ops::PixelNorm, &[z])?;
    for layer in 0..layers {
        let name = prefix(layer);
        w = if family.equalised {
            let y = b.equal_linear(w, &name, width, 0.01)?;
            b.scaled_leaky_relu(y)?
        } else {
            let y = b.linear(w, &name, width, [1.0, 1.0])?;
            b.leaky_relu(y, 0.2)?
        };
    }
    Ok(w)
}
