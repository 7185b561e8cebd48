//! GFPGAN: a U-Net whose decoder features modulate a StyleGAN2. RGB in [-1, 1], exactly as large as
//! the network was trained. Three variants of one graph: GFPGANv1Clean (1.2, 1.3, 1.4), whose
//! layers are plain; GFPGANv1 (1.0) with equalised layers and FIR resampling; GFPGANBilinear with
//! equalised layers and bilinear resampling, whose tensors have the names and shapes of GFPGANv1's.

use super::stylegan2::{Synthesis, names};
use super::{Network, Options, Task, resolutions};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, Padding, ops};
use crate::nn::stylegan2::{Family, Resample, fir_kernel, mapping};
use crate::nn::{Builder, ConvSpec, check_square};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

#[derive(Debug)]
struct Gfpgan {
    family: Family,
    /// Whether the caller said how it resamples.
    resample_given: bool,
    size: usize,
    /// Width of a latent vector.
    latent: usize,
    /// One latent vector per layer, instead of one for all.
    different_w: bool,
    /// Whether conditions touch only the second half of the channels.
    sft_half: bool,
    /// Layers of the mapping network in the file.
    layers: usize,
    /// Layers of the mapping network, when the latent passes through it.
    mapping: Option<usize>,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| checkpoint.has_prefix(prefix);
    if !has("stylegan_decoder.") || !has("conv_body_down.") {
        return None;
    }
    let equalised = has("conv_body_first.0.") || has("final_conv.0.");
    let family = match (equalised, options.resample) {
        (false, _) => Family { resample: Resample::Bilinear, equalised },
        (true, given) => Family { resample: given.unwrap_or(Resample::Fir), equalised },
    };
    let network = read(checkpoint, family).map(|net| {
        let resample_given = options.resample.is_some();
        Box::new(Gfpgan { resample_given, ..net }) as Box<dyn Network>
    });
    Some(network)
}

fn read(checkpoint: &Checkpoint, family: Family) -> Result<Gfpgan> {
    let levels = checkpoint.numbered("conv_body_down.") + 2;
    let size = super::stylegan2::checked_size(levels)?;
    let latent = checkpoint.usual("", ".modulation.weight", 1)?;
    let rows = checkpoint.rows("final_linear.weight")?;
    let codes = 2 * levels - 2;
    if rows != latent && rows != codes * latent {
        let what = format!("has {rows} rows, expected {latent} or {codes} times as many");
        return Err(Error::Tensor { name: "final_linear.weight".to_owned(), what });
    }
    let different_w = rows == latent * codes;
    let scale = "condition_scale.0.2.weight";
    let sft_half = match checkpoint.dims(scale) {
        Some(&[out, inner, _, _]) => out == inner,
        _ => {
            let what = "is missing or not a convolution".to_owned();
            return Err(Error::Tensor { name: scale.to_owned(), what });
        }
    };
    let layers = checkpoint.numbered("stylegan_decoder.style_mlp.");
    let layers = if family.equalised { layers.saturating_sub(1) } else { layers / 2 };
    let mapping = (!different_w).then_some(layers);
    let resample_given = false;
    Ok(Gfpgan { family, resample_given, size, latent, different_w, sft_half, layers, mapping })
}

impl Gfpgan {
    fn names(&self) -> &'static names::Names {
        if self.family.equalised { &names::BASICSR } else { &names::CLEAN }
    }

    /// `lrelu(W x + b)`, or `√2·lrelu(W/√fan_in · x + b)`, with a given weight and bias.
    fn active_conv(
        &self,
        b: &mut Builder,
        x: NodeId,
        [weight, bias]: [&str; 2],
        spec: ConvSpec,
    ) -> Result<NodeId> {
        if self.family.equalised {
            let y = b.equal_conv(x, weight, Some(bias), spec)?;
            b.scaled_leaky_relu(y)
        } else {
            let y = b.conv_from(x, weight, Some(bias), 1.0, spec)?;
            b.leaky_relu(y, 0.2)
        }
    }

    /// The convolutions at both ends of the encoder.
    fn end_conv(&self, b: &mut Builder, x: NodeId, name: &str, kernel: usize) -> Result<NodeId> {
        let tensors = match self.family.equalised {
            true => [format!("{name}.0.weight"), format!("{name}.1.bias")],
            false => [format!("{name}.weight"), format!("{name}.bias")],
        };
        self.active_conv(b, x, tensors.each_ref().map(String::as_str), ConvSpec::same(kernel))
    }

    /// `conv1`, resize, `conv2`, plus the resized 1×1 skip; equalised ones divide the sum by √2.
    fn res_block(&self, b: &mut Builder, x: NodeId, name: &str, sampling: Size) -> Result<NodeId> {
        let equalised = self.family.equalised;
        let [conv1, conv2, skip] = match (equalised, sampling) {
            (false, _) => {
                [["conv1.weight", "conv1.bias"], ["conv2.weight", "conv2.bias"], ["skip.weight"; 2]]
            }
            (true, Size::Half) => [
                ["conv1.0.weight", "conv1.1.bias"],
                ["conv2.1.weight", "conv2.2.bias"],
                ["skip.1.weight"; 2],
            ],
            (true, Size::Double) => [
                ["conv1.0.weight", "conv1.1.bias"],
                ["conv2.weight", "conv2.activation.bias"],
                ["skip.weight"; 2],
            ],
        };
        let full = |tensors: [&str; 2]| tensors.map(|tensor| format!("{name}.{tensor}"));
        let [conv1, conv2, skip] = [full(conv1), full(conv2), full(skip)];
        let [conv1, conv2] = [&conv1, &conv2].map(|names| names.each_ref().map(String::as_str));

        let y = self.active_conv(b, x, conv1, ConvSpec::same(3).out(b.shape(x).c))?;
        let fir = self.family.resample == Resample::Fir && sampling == Size::Half;
        let y = if fir {
            let kernel = fir_kernel(b, 1.0);
            let blur = ops::Upfirdn2d { kernel, up: 1, down: 1, padding: Padding::all(2) };
            let y = b.add(blur, &[y])?;
            let spec = ConvSpec { stride: 2, padding: Padding::all(0), ..ConvSpec::same(3) };
            self.active_conv(b, y, conv2, spec)?
        } else {
            let y = b.bilinear(y, sampling.factor())?;
            self.active_conv(b, y, conv2, ConvSpec::same(3))?
        };
        // A 1×1 convolution without bias commutes with the resize: it runs at the lower resolution.
        let spec = ConvSpec::same(1).out(b.shape(y).c);
        let low = match sampling {
            Size::Half if fir => {
                let kernel = fir_kernel(b, 1.0);
                let halve = ops::Upfirdn2d { kernel, up: 1, down: 2, padding: Padding::all(1) };
                b.add(halve, &[x])?
            }
            Size::Half => b.bilinear(x, 0.5)?,
            Size::Double => x,
        };
        let skip = &skip[0];
        let mut res = match equalised {
            true => b.equal_conv(low, skip, None, spec)?,
            false => b.conv_from(low, skip, None, 1.0, spec)?,
        };
        if sampling == Size::Double {
            res = b.bilinear(res, 2.0)?;
        }
        let sum = b.add(ops::Add, &[y, res])?;
        match equalised {
            true => b.add(ops::Scale(std::f32::consts::FRAC_1_SQRT_2), &[sum]),
            false => Ok(sum),
        }
    }

    fn condition(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        let channels = b.shape(x).c;
        let [w0, b0, w2, b2] =
            ["0.weight", "0.bias", "2.weight", "2.bias"].map(|part| format!("{name}.{part}"));
        let y = self.active_conv(b, x, [&w0, &b0], ConvSpec::same(3).out(channels))?;
        let out = if self.sft_half { channels } else { 2 * channels };
        let spec = ConvSpec::same(3).out(out);
        match self.family.equalised {
            true => b.equal_conv(y, &w2, Some(&b2), spec),
            false => b.conv_from(y, &w2, Some(&b2), 1.0, spec),
        }
    }
}

/// What a residual block does to the size.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Half,
    Double,
}

impl Size {
    fn factor(self) -> f32 {
        match self {
            Size::Half => 0.5,
            Size::Double => 2.0,
        }
    }
}

impl Network for Gfpgan {
    fn name(&self) -> &'static str {
        match (self.family.equalised, self.family.resample) {
            (false, _) => "GFPGANv1Clean",
            (true, Resample::Fir) => "GFPGANv1",
            (true, Resample::Bilinear) => "GFPGANBilinear",
        }
    }

    fn task(&self) -> Task {
        Task::RestoreFace { size: self.size }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let resampling = match self.family.resample {
            Resample::Fir => "FIR",
            Resample::Bilinear => "bilinear",
        };
        let assumed = match (self.family.equalised, self.resample_given) {
            (false, _) => "",
            (true, true) => " (as you say)",
            (true, false) => " (assumed: the file cannot tell GFPGANv1 from GFPGANBilinear)",
        };
        vec![
            ("size", self.size.to_string()),
            ("latent", self.latent.to_string()),
            ("different_w", self.different_w.to_string()),
            ("sft_half", self.sft_half.to_string()),
            (
                "mapping layers",
                self.mapping.map_or("not used".to_owned(), |layers| layers.to_string()),
            ),
            ("resampling", format!("{resampling}{assumed}")),
            ("noise", "from the checkpoint; zero where it has none".to_owned()),
        ]
    }

    /// Pictures of the U-Net's levels, which the training compares, and the mapping network, which
    /// W+ latents do not pass.
    fn training_only(&self) -> Vec<String> {
        let mut names = Vec::new();
        for level in 0..resolutions(self.size).count() - 1 {
            names.push(format!("toRGB.{level}.weight"));
            names.push(format!("toRGB.{level}.bias"));
        }
        let layers = if self.mapping.is_none() { self.layers } else { 0 };
        for layer in 0..layers {
            let name = format!("stylegan_decoder.{}", (self.names().mapping)(layer));
            names.push(format!("{name}.weight"));
            names.push(format!("{name}.bias"));
        }
        names.extend(self.names().unused_strengths("stylegan_decoder.", self.size));
        names
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        check_square(input, self.size)?;
        let family = self.family;
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("face", input);
        let mut x = self.end_conv(&mut b, x, "conv_body_first", 1)?;
        let mut skips = Vec::new();
        for level in 0..resolutions(self.size).count() - 1 {
            x = self.res_block(&mut b, x, &format!("conv_body_down.{level}"), Size::Half)?;
            skips.push(x);
        }
        let mut x = self.end_conv(&mut b, x, "final_conv", 3)?;
        let codes = if self.different_w { 2 * resolutions(self.size).count() } else { 1 };
        let mut latents = match family.equalised {
            true => b.equal_linear(x, "final_linear", codes * self.latent, 1.0)?,
            false => b.linear(x, "final_linear", codes * self.latent, [1.0, 1.0])?,
        };
        if let Some(layers) = self.mapping {
            latents = mapping(&mut b, family, latents, layers, |i| {
                format!("stylegan_decoder.{}", (self.names().mapping)(i))
            })?;
        }
        let mut conditions = Vec::new();
        for (level, skip) in skips.into_iter().rev().enumerate() {
            x = b.add(ops::Add, &[x, skip])?;
            x = self.res_block(&mut b, x, &format!("conv_body_up.{level}"), Size::Double)?;
            let scale = self.condition(&mut b, x, &format!("condition_scale.{level}"))?;
            let shift = self.condition(&mut b, x, &format!("condition_shift.{level}"))?;
            conditions.push([scale, shift]);
        }
        let decoder = Synthesis {
            prefix: "stylegan_decoder.",
            names: self.names(),
            family,
            size: self.size,
            latent: self.latent,
        };
        let y = decoder.build(&mut b, latents, &conditions)?;
        Ok(b.finish(y))
    }
}
