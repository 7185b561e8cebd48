//! GFPGANv1Clean (GFPGAN 1.2, 1.3, 1.4): a U-Net whose decoder features modulate a clean StyleGAN2.
//! RGB in [-1, 1], exactly as large as the network was trained.

use super::stylegan2::{Synthesis, names};
use super::{Network, Options, Task, resolutions};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Op};
use crate::nn::stylegan2::{Family, Resample, mapping};
use crate::nn::{Builder, ConvSpec, check_square};
use crate::plan::PixelFormat;
use crate::tensor::Shape;

#[derive(Debug)]
struct GfpganClean {
    size: usize,
    /// Width of a latent vector.
    latent: usize,
    /// One latent vector per layer, instead of one for all.
    different_w: bool,
    /// Whether conditions touch only the second half of the channels.
    sft_half: bool,
    /// Layers of the mapping network, when the latent passes through it.
    mapping: Option<usize>,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let clean = checkpoint.contains("stylegan_decoder.constant_input.weight")
        && checkpoint.contains("conv_body_first.weight");
    clean.then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<GfpganClean> {
    let levels = checkpoint.count(|i| format!("conv_body_down.{i}.conv1.weight")) + 2;
    let size = super::stylegan2::checked_size(levels)?;
    let modulation = "stylegan_decoder.style_conv1.modulated_conv.modulation.weight";
    let latent = match checkpoint.dims(modulation) {
        Some(&[_, d]) => d,
        _ => {
            let what = "is missing or no matrix".to_owned();
            return Err(Error::Tensor { name: modulation.to_owned(), what });
        }
    };
    let rows = checkpoint.rows("final_linear.weight")?;
    let different_w = rows == latent * (2 * levels - 2);
    let scale = "condition_scale.0.2.weight";
    let sft_half = match checkpoint.dims(scale) {
        Some(&[out, inner, _, _]) => out == inner,
        _ => {
            let what = "is missing or no convolution".to_owned();
            return Err(Error::Tensor { name: scale.to_owned(), what });
        }
    };
    let layers =
        checkpoint.count(|i| format!("stylegan_decoder.{}.weight", names::clean_mapping(i)));
    let mapping = (!different_w).then_some(layers);
    Ok(GfpganClean { size, latent, different_w, sft_half, mapping })
}

impl GfpganClean {
    /// `lrelu(conv1)`, bilinear resize, `lrelu(conv2)`, plus the resized 1×1 skip.
    fn res_block(&self, b: &mut Builder, x: NodeId, name: &str, factor: f32) -> Result<NodeId> {
        let y = b.conv(x, &format!("{name}.conv1"), ConvSpec::same(3).out(b.shape(x).c))?;
        let y = b.leaky_relu(y, 0.2)?;
        let y = b.bilinear(y, factor)?;
        let y = b.conv(y, &format!("{name}.conv2"), ConvSpec::same(3))?;
        let y = b.leaky_relu(y, 0.2)?;
        // A 1×1 convolution without bias commutes with the resize: it runs at the lower resolution.
        let skip = ConvSpec::same(1).without_bias().out(b.shape(y).c);
        let skip_name = format!("{name}.skip");
        let res = if factor < 1.0 {
            let low = b.bilinear(x, factor)?;
            b.conv(low, &skip_name, skip)?
        } else {
            let low = b.conv(x, &skip_name, skip)?;
            b.bilinear(low, factor)?
        };
        b.add(Op::Add, &[y, res])
    }

    fn condition(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        let channels = b.shape(x).c;
        let y = b.conv(x, &format!("{name}.0"), ConvSpec::same(3).out(channels))?;
        let y = b.leaky_relu(y, 0.2)?;
        let out = if self.sft_half { channels } else { 2 * channels };
        b.conv(y, &format!("{name}.2"), ConvSpec::same(3).out(out))
    }
}

impl Network for GfpganClean {
    fn name(&self) -> &'static str {
        "GFPGANv1Clean"
    }

    fn task(&self) -> Task {
        Task::RestoreFace { size: self.size }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("size", self.size.to_string()),
            ("latent", self.latent.to_string()),
            ("different_w", self.different_w.to_string()),
            ("sft_half", self.sft_half.to_string()),
            (
                "mapping layers",
                self.mapping.map_or("not used".to_owned(), |layers| layers.to_string()),
            ),
            ("noise", "from the checkpoint; zero where it has none".to_owned()),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        check_square(input, self.size)?;
        let family = Family { resample: Resample::Bilinear, equalised: false };
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("face", input);
        let x = b.conv(x, "conv_body_first", ConvSpec::same(1))?;
        let mut x = b.leaky_relu(x, 0.2)?;
        let mut skips = Vec::new();
        for level in 0..resolutions(self.size).count() - 1 {
            x = self.res_block(&mut b, x, &format!("conv_body_down.{level}"), 0.5)?;
            skips.push(x);
        }
        let x = b.conv(x, "final_conv", ConvSpec::same(3))?;
        let mut x = b.leaky_relu(x, 0.2)?;
        let codes = if self.different_w { 2 * resolutions(self.size).count() } else { 1 };
        let mut latents = b.linear(x, "final_linear", codes * self.latent, [1.0, 1.0])?;
        if let Some(layers) = self.mapping {
            latents = mapping(&mut b, family, latents, layers, |i| {
                format!("stylegan_decoder.{}", names::clean_mapping(i))
            })?;
        }
        let mut conditions = Vec::new();
        for (level, skip) in skips.into_iter().rev().enumerate() {
            x = b.add(Op::Add, &[x, skip])?;
            x = self.res_block(&mut b, x, &format!("conv_body_up.{level}"), 2.0)?;
            let scale = self.condition(&mut b, x, &format!("condition_scale.{level}"))?;
            let shift = self.condition(&mut b, x, &format!("condition_shift.{level}"))?;
            conditions.push([scale, shift]);
        }
        let decoder = Synthesis {
            prefix: "stylegan_decoder.",
            names: &names::CLEAN,
            family,
            size: self.size,
            latent: self.latent,
        };
        let y = decoder.build(&mut b, latents, &conditions)?;
        Ok(b.finish(y))
    }
}
