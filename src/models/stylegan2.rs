//! StyleGAN2 generators: rosinality's, BasicSR's and GFPGAN's "clean" one, from a latent `z` to an
//! RGB picture in [-1, 1]. Also the decoder of the networks that build on them.

use super::{Network, Options, Task, Truncation, resolutions};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, ops};
use crate::nn::Builder;
use crate::nn::stylegan2::{
    Family, Modulated, Resample, Sampling, Styled, mapping, styled_conv, to_rgb,
};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// How an implementation names its tensors.
#[derive(Debug)]
pub(super) struct Names {
    /// The 4×4 input.
    pub constant: &'static str,
    /// The styled convolution at 4×4.
    pub first: &'static str,
    /// The others, numbered.
    pub convs: &'static str,
    /// The modulated convolution in a layer.
    pub conv: &'static str,
    /// The noise strength in a layer.
    pub strength: &'static str,
    /// The bias in a styled convolution.
    pub bias: &'static str,
    /// The noise buffers, followed by their number.
    pub noise: &'static str,
    /// Prefix of mapping layer `i`.
    pub mapping: fn(usize) -> String,
    /// Whether these names leave open how the network resamples.
    pub ambiguous: bool,
}

impl Names {
    /// The noise strengths of a generator of `size`, which a file without noise buffers has in vain.
    pub fn unused_strengths(&self, prefix: &str, size: usize) -> Vec<String> {
        let layers = 2 * (resolutions(size).count() - 1);
        let convs = (0..layers).map(|i| format!("{}.{i}", self.convs));
        let all = std::iter::once(self.first.to_owned()).chain(convs);
        all.map(|layer| format!("{prefix}{layer}.{}", self.strength)).collect()
    }
}

pub(super) mod names {
    pub(in crate::models) use super::Names;

    fn clean_mapping(i: usize) -> String {
        format!("style_mlp.{}", 2 * i + 1)
    }

    pub(in crate::models) const CLEAN: Names = Names {
        constant: "constant_input.weight",
        first: "style_conv1",
        convs: "style_convs",
        conv: "modulated_conv",
        strength: "weight",
        bias: "bias",
        noise: "noises.noise",
        mapping: clean_mapping,
        ambiguous: false,
    };

    pub(in crate::models) const BASICSR: Names = Names {
        bias: "activate.bias",
        mapping: |i| format!("style_mlp.{}", i + 1),
        ambiguous: true,
        ..CLEAN
    };

    pub(in crate::models) const ROSINALITY: Names = Names {
        constant: "input.input",
        first: "conv1",
        convs: "convs",
        conv: "conv",
        strength: "noise.weight",
        bias: "activate.bias",
        noise: "noises.noise_",
        mapping: |i| format!("style.{}", i + 1),
        ambiguous: false,
    };
}

/// A synthesis network: constant, styled convolutions, RGB skips, and spatial feature transforms
/// between the two convolutions of a resolution.
pub(super) struct Synthesis<'n> {
    /// Before every name.
    pub prefix: &'n str,
    /// The implementation's names.
    pub names: &'n Names,
    /// The implementation's numerics.
    pub family: Family,
    /// Side of the picture.
    pub size: usize,
    /// Width of a latent vector.
    pub latent: usize,
}

impl Synthesis<'_> {
    /// Builds the network for `latents` `[N, D]` (one for all layers) or `[N, layers·D]`.
    /// `conditions[j]` is the scale and shift at resolution `8·2^j`; they cover the last channels
    /// that they have room for.
    pub fn build(
        &self,
        b: &mut Builder,
        latents: NodeId,
        conditions: &[[NodeId; 2]],
    ) -> Result<NodeId> {
        let Self { prefix, names, latent, .. } = *self;
        let shared = b.shape(latents).c == latent;
        let code = |b: &mut Builder, i: usize| match shared {
            true => Ok(latents),
            false => b.slice(latents, i * latent, (i + 1) * latent),
        };
        let constant = format!("{prefix}{}", names.constant);
        let channels = match b.checkpoint().dims(&constant) {
            Some(&[1, c, 4, 4]) => c,
            Some(dims) => {
                let what = format!("has shape {dims:?}, expected [1, C, 4, 4]");
                return Err(Error::Tensor { name: constant, what });
            }
            None => return Err(Error::Tensor { name: constant, what: "is missing".to_owned() }),
        };
        let param = b.param(&constant, &[1, channels, 4, 4], 1.0)?;
        let batch = b.shape(latents).n;
        let mut x = b.add(ops::Constant { value: param, batch }, &[])?;
        let first = code(b, 0)?;
        x = self.styled(b, x, first, names.first, 0, Sampling::Keep)?;
        let w = code(b, 1)?;
        let mut rgb = self.rgb(b, x, w, "to_rgb1", None)?;
        for (j, _) in resolutions(self.size).skip(1).enumerate() {
            let up = format!("{}.{}", names.convs, 2 * j);
            let plain = format!("{}.{}", names.convs, 2 * j + 1);
            let w = code(b, 1 + 2 * j)?;
            x = self.styled(b, x, w, &up, 1 + 2 * j, Sampling::Up)?;
            if let Some(&[scale, shift]) = conditions.get(j) {
                let first_channel = b.shape(x).c.saturating_sub(b.shape(scale).c);
                x = b.add(ops::Sft { first_channel }, &[x, scale, shift])?;
            }
            let w = code(b, 2 + 2 * j)?;
            x = self.styled(b, x, w, &plain, 2 + 2 * j, Sampling::Keep)?;
            let w = code(b, 3 + 2 * j)?;
            rgb = self.rgb(b, x, w, &format!("to_rgbs.{j}"), Some(rgb))?;
        }
        Ok(rgb)
    }

    fn styled(
        &self,
        b: &mut Builder,
        x: NodeId,
        latent: NodeId,
        layer: &str,
        noise_index: usize,
        sampling: Sampling,
    ) -> Result<NodeId> {
        let Self { prefix, names, family, .. } = *self;
        let conv = format!("{prefix}{layer}.{}", names.conv);
        let weight = format!("{conv}.weight");
        let modulation = format!("{conv}.modulation");
        let filter = format!("{conv}.blur.kernel");
        let noise = format!("{prefix}{}{noise_index}", names.noise);
        let strength = format!("{prefix}{layer}.{}", names.strength);
        let bias = format!("{prefix}{layer}.{}", names.bias);
        let out = rows_of_modulated(b.checkpoint(), &weight)?;
        let styled = Styled {
            conv: Modulated {
                weight: &weight,
                modulation: &modulation,
                filter: has_filters(b.checkpoint()).then_some(&filter),
                out,
                kernel: 3,
                sampling,
                demodulate: true,
            },
            // All of them or none: one that is missing is an error.
            noise: self.has_noise(b.checkpoint()).then_some((&noise, &strength)),
            bias: &bias,
        };
        styled_conv(b, family, x, latent, styled)
    }

    fn has_noise(&self, checkpoint: &Checkpoint) -> bool {
        let prefix = format!("{}{}", self.prefix, self.names.noise);
        checkpoint.has_prefix(&prefix)
    }

    fn rgb(
        &self,
        b: &mut Builder,
        x: NodeId,
        latent: NodeId,
        layer: &str,
        skip: Option<NodeId>,
    ) -> Result<NodeId> {
        let Self { prefix, names, family, .. } = *self;
        let conv = format!("{prefix}{layer}.{}", names.conv);
        let filter = format!("{prefix}{layer}.upsample.kernel");
        let modulated = Modulated {
            weight: &format!("{conv}.weight"),
            modulation: &format!("{conv}.modulation"),
            filter: has_filters(b.checkpoint()).then_some(&filter),
            out: 3,
            kernel: 1,
            sampling: Sampling::Keep,
            demodulate: false,
        };
        to_rgb(b, family, x, latent, modulated, &format!("{prefix}{layer}.bias"), skip)
    }
}

/// Output channels of a modulated convolution `[1, O, I, k, k]`.
pub(super) fn rows_of_modulated(checkpoint: &Checkpoint, name: &str) -> Result<usize> {
    match checkpoint.dims(name) {
        Some(&[1, out, _, _, _]) => Ok(out),
        Some(dims) => {
            let what = format!("has shape {dims:?}, expected [1, O, I, k, k]");
            Err(Error::Tensor { name: name.to_owned(), what })
        }
        None => {
            let what = format!("is missing from {}", checkpoint.path().display());
            Err(Error::Tensor { name: name.to_owned(), what })
        }
    }
}

/// Whether the file holds its filters; then all of them, one that is missing is an error.
fn has_filters(checkpoint: &Checkpoint) -> bool {
    checkpoint.tensors().any(|p| p.name.ends_with(".kernel"))
}

fn has_prefix(checkpoint: &Checkpoint, prefix: &str) -> bool {
    checkpoint.tensors().any(|p| {
        p.name
            .strip_prefix(prefix)
            .is_some_and(|rest| prefix.ends_with('.') || rest.starts_with('.'))
    })
}

/// The side `2^levels` of a picture with that many levels.
pub(super) fn checked_size(levels: usize) -> Result<usize> {
    if (3..=13).contains(&levels) {
        Ok(1 << levels)
    } else {
        Err(Error::UnknownArchitecture(format!(
            "a StyleGAN2 of {levels} doublings (its layers are numbered without gaps?)"
        )))
    }
}

#[derive(Debug)]
struct StyleGan2 {
    title: &'static str,
    names: &'static Names,
    family: Family,
    size: usize,
    latent: usize,
    layers: usize,
    /// Whether the caller said how it resamples.
    resample_given: bool,
    truncation: Option<Truncation>,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| has_prefix(checkpoint, prefix);
    let (title, names, family): (_, &'static Names, _) = if has("to_rgb1.conv.") && has("style.1") {
        let family = Family { resample: Resample::Fir, equalised: true };
        ("StyleGAN2 (rosinality)", &names::ROSINALITY, family)
    } else if !has("style_convs.") || !has("style_mlp.") {
        return None;
    } else if !checkpoint.tensors().any(|p| p.name.ends_with(".activate.bias")) {
        let family = Family { resample: Resample::Bilinear, equalised: false };
        ("StyleGAN2 (clean)", &names::CLEAN, family)
    } else {
        let resample = options.resample.unwrap_or(Resample::Fir);
        let family = Family { resample, equalised: true };
        ("StyleGAN2 (BasicSR)", &names::BASICSR, family)
    };
    let network = read(checkpoint, title, names, family).map(|network| {
        let truncation = options.truncation.clone();
        let resample_given = options.resample.is_some();
        Box::new(StyleGan2 { truncation, resample_given, ..network }) as Box<dyn Network>
    });
    Some(network)
}

fn read(
    checkpoint: &Checkpoint,
    title: &'static str,
    names: &'static Names,
    family: Family,
) -> Result<StyleGan2> {
    let size = checked_size(checkpoint.numbered("to_rgbs.") + 2)?;
    let layers = (0..).take_while(|&i| has_prefix(checkpoint, &(names.mapping)(i))).count();
    let latent = checkpoint.usual("", ".modulation.weight", 1)?;
    let network = StyleGan2 {
        title,
        names,
        family,
        resample_given: false,
        size,
        latent,
        layers,
        truncation: None,
    };
    Ok(network)
}

impl Network for StyleGan2 {
    fn name(&self) -> &'static str {
        self.title
    }

    fn task(&self) -> Task {
        Task::Generate { latent: self.latent, size: self.size }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let resampling = match self.family.resample {
            Resample::Fir => "FIR",
            Resample::Bilinear => "bilinear",
        };
        let assumed = match (self.names.ambiguous, self.resample_given) {
            (false, _) => "",
            (true, true) => " (as you say)",
            (true, false) => " (assumed: the file cannot tell FIR from bilinear)",
        };
        vec![
            ("size", self.size.to_string()),
            ("latent", self.latent.to_string()),
            ("mapping layers", self.layers.to_string()),
            ("resampling", format!("{resampling}{assumed}")),
            ("noise", "from the checkpoint; zero where it has none".to_owned()),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn training_only(&self) -> Vec<String> {
        self.names.unused_strengths("", self.size)
    }

    /// `input` is `[N, latent, 1, 1]`, or W+: `[N, codes·latent, 1, 1]`, a code for each layer behind
    /// the mapping network.
    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        let (Shape { c: values, .. }, latent) = (input, self.latent);
        let codes = 2 * resolutions(self.size).count();
        if input.plane() != 1 || (values != latent && values != codes * latent) {
            return Err(Error::Input(format!(
                "this network takes latents of {latent} values, or {codes} codes of as many for \
                 its layers, the input is {input}"
            )));
        }
        let mut b = Builder::new(checkpoint);
        let mut w = if values == latent {
            let z = b.graph.add_input("z", input);
            mapping(&mut b, self.family, z, self.layers, self.names.mapping)?
        } else {
            b.graph.add_input("w", input)
        };
        if let Some(Truncation { factor, mean }) = &self.truncation {
            if mean.len() != latent {
                return Err(Error::Input(format!(
                    "the mean latent has {} values, this network's has {latent}",
                    mean.len(),
                )));
            }
            let rest: Vec<f32> = mean.iter().map(|m| (1.0 - factor) * m).collect();
            let rest = rest.repeat(values / latent);
            let rest = b.computed("mean_latent", vec![values], &rest);
            w = b.add(ops::Scale(*factor), &[w])?;
            w = b.add(ops::Bias(rest), &[w])?;
        }
        let synthesis = Synthesis {
            prefix: "",
            names: self.names,
            family: self.family,
            size: self.size,
            latent: self.latent,
        };
        let y = synthesis.build(&mut b, w, &[])?;
        Ok(b.finish(y))
    }
}
