//! MMRB-Net, the network of Hu et al. 2022 (arXiv 2205.14377): an asymmetric codec of mixed
//! multi-path residual blocks and a StyleGAN2 prior. RGB in [-1, 1]. Every choice that the paper's
//! abstract leaves open is a value in the checkpoint's configuration; tensor names and formulas are
//! specified in `tools/reference/README.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Network, Options, Task, resolutions};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, ParamId, ops};
use crate::nn::mmrb::{Mix, Mmrb, PathSpec, mmrb};
use crate::nn::stylegan2::{Family, Modulated, Resample, Sampling, modulated_conv, to_rgb};
use crate::nn::{Builder, ConvSpec, check_square};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// More channels than any layer can have use of.
const MOST_CHANNELS: usize = 1 << 14;

/// How the generator doubles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Upsample {
    Fir,
    Bilinear,
}

/// How a condition enters after a styled convolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inject {
    /// `y · scale + shift` on all channels.
    Sft,
    /// `y · scale + shift` on the last half of the channels.
    SftHalf,
    /// Concatenated before bias and activation, in the place of noise, as in GPEN.
    NoiseConcat,
    /// `y + condition`
    Add,
}

/// One value for all levels, or one per level.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum PerLevel {
    All(usize),
    Each(BTreeMap<String, usize>),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockConfig {
    paths: Vec<PathSpec>,
    mix: Mix,
    path_channels: PerLevel,
    slope: f32,
    fuse_activation: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    size: usize,
    channels: BTreeMap<String, usize>,
    latent_dim: usize,
    n_mlp: usize,
    mmrb: BlockConfig,
    mmrb_per_level: usize,
    upsample: Upsample,
    inject: Inject,
    stem_unshuffle: usize,
    input_skip: bool,
}

/// The network with its configuration.
#[derive(Debug)]
pub struct MmrbNet {
    config: Config,
    /// Width at each resolution.
    channels: BTreeMap<usize, usize>,
    /// Path width at each level of the codec.
    path_channels: BTreeMap<usize, usize>,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    if checkpoint.metadata("arch")? != "mmrbnet" {
        return None;
    }
    Some(MmrbNet::read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn wrong<T>(name: &str, what: impl Into<String>) -> Result<T> {
    Err(Error::Config { name: name.to_owned(), what: what.into() })
}

impl MmrbNet {
    fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let Some(json) = checkpoint.metadata("config") else {
            return wrong("config", "is missing from the checkpoint's metadata");
        };
        let config: Config = match serde_json::from_str(json) {
            Ok(config) => config,
            // The message may quote the file.
            Err(e) => return wrong("config", e.to_string().replace(char::is_control, " ")),
        };
        Self::checked(config)
    }

    fn checked(config: Config) -> Result<Self> {
        let Config { size, stem_unshuffle: s, mmrb: ref block, .. } = config;
        if !(size.is_power_of_two() && (8..=4096).contains(&size)) {
            return wrong("size", format!("is {size}, expected a power of two from 8 to 4096"));
        }
        if ![1, 2, 4].contains(&s) || size / s < 4 {
            return wrong("stem_unshuffle", format!("is {s}, expected 1, 2 or 4 (size {size})"));
        }
        if config.latent_dim == 0 || config.mmrb_per_level == 0 {
            return wrong("latent_dim, mmrb_per_level", "start at 1");
        }
        if config.latent_dim > 1 << 16 || config.mmrb_per_level > 1 << 10 || config.n_mlp > 1 << 10
        {
            return wrong("latent_dim, mmrb_per_level, n_mlp", "are too large");
        }
        let channels = table("channels", &config.channels, size)?;
        let top = size / s;
        let path_channels = match &block.path_channels {
            PerLevel::All(c) if !(1..=MOST_CHANNELS).contains(c) => {
                return wrong(
                    "mmrb.path_channels",
                    format!("is {c}, expected 1 to {MOST_CHANNELS}"),
                );
            }
            PerLevel::All(c) => resolutions(top).map(|r| (r, *c)).collect(),
            PerLevel::Each(each) => table("mmrb.path_channels", each, top)?,
        };
        if block.paths.is_empty() || block.paths.len() > 64 {
            return wrong("mmrb.paths", format!("has {} entries", block.paths.len()));
        }
        if !(0.0..1.0).contains(&block.slope) {
            return wrong("mmrb.slope", format!("is {}, expected [0, 1)", block.slope));
        }
        for path in &block.paths {
            let PathSpec { kernel, dilation, groups } = *path;
            if kernel % 2 == 0 || kernel > 63 || !(1..=64).contains(&dilation) || groups == 0 {
                return wrong("mmrb.paths", format!("holds an impossible path {path:?}"));
            }
            for (level, &width) in &path_channels {
                let mixed = match block.mix {
                    Mix::Concat => width * block.paths.len(),
                    Mix::Sum | Mix::None => width,
                };
                if width % groups != 0 || channels[level] % groups != 0 || mixed % groups != 0 {
                    let what = format!("has {groups} groups, which do not divide level {level}");
                    return wrong("mmrb.paths", what);
                }
            }
        }
        Ok(Self { config, channels, path_channels })
    }

    /// The codec's largest resolution.
    fn top(&self) -> usize {
        self.config.size / self.config.stem_unshuffle
    }

    fn slope(&self) -> f32 {
        self.config.mmrb.slope
    }

    fn conv_lrelu(&self, b: &mut Builder, x: NodeId, name: &str, out: usize) -> Result<NodeId> {
        let y = b.conv(x, name, ConvSpec::same(3).out(out))?;
        b.leaky_relu(y, self.slope())
    }

    /// Features of every codec level, and the latents `[N, layers·D]`.
    fn encoder(&self, b: &mut Builder, input: NodeId) -> Result<(BTreeMap<usize, NodeId>, NodeId)> {
        let block = &self.config.mmrb;
        let s = self.config.stem_unshuffle;
        let x = if s == 1 { input } else { b.add(ops::PixelUnshuffle(s), &[input])? };
        let mut x = self.conv_lrelu(b, x, "encoder.stem", self.channels[&self.top()])?;
        let mut features = BTreeMap::new();
        for (&level, &width) in self.channels.range(..=self.top()).rev() {
            for i in 0..self.config.mmrb_per_level {
                let spec = Mmrb {
                    paths: &block.paths,
                    mix: block.mix,
                    path_channels: self.path_channels[&level],
                    slope: block.slope,
                    fuse_activation: block.fuse_activation,
                };
                x = mmrb(b, x, &format!("encoder.levels.{level}.mmrb.{i}."), &spec, width)?;
            }
            features.insert(level, x);
            if level > 4 {
                let spec =
                    ConvSpec { stride: 2, ..ConvSpec::same(3).out(self.channels[&(level / 2)]) };
                let y = b.conv(x, &format!("encoder.levels.{level}.down"), spec)?;
                x = b.leaky_relu(y, self.slope())?;
            }
        }
        let layers = 2 * self.channels.len();
        let latents = b.equal_linear(x, "encoder.latent", layers * self.config.latent_dim, 1.0)?;
        Ok((features, latents))
    }

    /// The decoder's feature at every codec level.
    fn decoder(
        &self,
        b: &mut Builder,
        encoder: &BTreeMap<usize, NodeId>,
    ) -> Result<BTreeMap<usize, NodeId>> {
        let mut features = BTreeMap::new();
        let mut previous: Option<NodeId> = None;
        for (&level, &skip) in encoder {
            let width = self.channels[&level];
            let name = format!("decoder.levels.{level}");
            let x = match previous {
                None => skip,
                Some(x) => {
                    let x = if b.shape(x).c == width {
                        x
                    } else {
                        let spec = ConvSpec::same(1).out(width).without_bias();
                        b.conv(x, &format!("{name}.project"), spec)?
                    };
                    let x = b.bilinear(x, 2.0)?;
                    b.add(ops::Add, &[x, skip])?
                }
            };
            let y = self.conv_lrelu(b, x, &format!("{name}.conv"), width)?;
            features.insert(level, y);
            previous = Some(y);
        }
        Ok(features)
    }

    /// Channels of the condition at `level`, as scale and shift where there are two.
    fn condition_channels(&self, level: usize) -> usize {
        let c = self.channels[&level];
        match self.config.inject {
            Inject::Sft => 2 * c,
            Inject::SftHalf => 2 * (c / 2),
            Inject::NoiseConcat | Inject::Add => c,
        }
    }

    fn condition(
        &self,
        b: &mut Builder,
        decoder: &BTreeMap<usize, NodeId>,
        level: usize,
    ) -> Result<NodeId> {
        let source = level.min(self.top());
        let q = level / source;
        let name = format!("condition.{level}");
        let width = self.channels[&source];
        let y = self.conv_lrelu(b, decoder[&source], &format!("{name}.hidden"), width)?;
        let out = q * q * self.condition_channels(level);
        let y = b.conv(y, &format!("{name}.out"), ConvSpec::same(3).out(out))?;
        if q == 1 { Ok(y) } else { b.add(ops::PixelShuffle(q), &[y]) }
    }

    fn latents(&self, b: &mut Builder, codes: NodeId) -> Result<Vec<NodeId>> {
        let d = self.config.latent_dim;
        let mut latents = Vec::new();
        for i in 0..2 * self.channels.len() {
            let mut w = b.slice(codes, i * d, (i + 1) * d)?;
            if self.config.n_mlp > 0 {
                w = b.add(ops::PixelNorm, &[w])?;
            }
            for layer in 0..self.config.n_mlp {
                let y = b.equal_linear(w, &format!("generator.mlp.{layer}"), d, 0.01)?;
                w = b.scaled_leaky_relu(y)?;
            }
            latents.push(w);
        }
        Ok(latents)
    }

    /// A styled convolution, its condition included.
    fn styled(
        &self,
        b: &mut Builder,
        x: NodeId,
        latent: NodeId,
        condition: NodeId,
        layer: &Layer,
    ) -> Result<NodeId> {
        let Layer { level, name, noise, sampling } = layer;
        let prefix = format!("generator.levels.{level}.{name}");
        let c = self.channels[level];
        let family = self.family();
        let modulated = Modulated {
            weight: &format!("{prefix}.weight"),
            modulation: &format!("{prefix}.modulation"),
            filter: None,
            out: c,
            kernel: 3,
            sampling: *sampling,
            demodulate: true,
        };
        let y = modulated_conv(b, family, x, latent, modulated)?;
        let strength = b.scalar(&format!("{prefix}.noise_weight"))?;
        let bias_name = format!("{prefix}.bias");
        if self.config.inject == Inject::NoiseConcat {
            let bias = b.checkpoint().require(&bias_name, &[2 * c])?.to_f32();
            let half = |b: &mut Builder, x: NodeId, values: &[f32]| -> Result<NodeId> {
                let bias: ParamId = b.computed(&bias_name, vec![c], values);
                let y = b.add(ops::Bias(bias), &[x])?;
                b.scaled_leaky_relu(y)
            };
            let own = half(b, y, &bias[..c])?;
            let feature = b.add(ops::Scale(strength), &[condition])?;
            let feature = half(b, feature, &bias[c..])?;
            return b.add(ops::Concat, &[own, feature]);
        }
        let shape = b.shape(y);
        let noise =
            b.param(&format!("generator.noises.{noise}"), &[1, 1, shape.h, shape.w], 1.0)?;
        let y = b.add(ops::Noise { noise, strength }, &[y])?;
        let bias = b.param(&bias_name, &[c], 1.0)?;
        let y = b.add(ops::Bias(bias), &[y])?;
        let y = b.scaled_leaky_relu(y)?;
        if self.config.inject == Inject::Add {
            return b.add(ops::Add, &[y, condition]);
        }
        let half = self.condition_channels(*level) / 2;
        if half == 0 {
            return Ok(y);
        }
        let scale = b.slice(condition, 0, half)?;
        let shift = b.slice(condition, half, 2 * half)?;
        b.add(ops::Sft { first_channel: c - half }, &[y, scale, shift])
    }

    fn family(&self) -> Family {
        let resample = match self.config.upsample {
            Upsample::Fir => Resample::Fir,
            Upsample::Bilinear => Resample::Bilinear,
        };
        Family { resample, equalised: true }
    }
}

/// One styled convolution of the generator.
struct Layer {
    level: usize,
    name: &'static str,
    noise: usize,
    sampling: Sampling,
}

impl Network for MmrbNet {
    fn name(&self) -> &'static str {
        "MMRB-Net"
    }

    fn task(&self) -> Task {
        Task::RestoreFace { size: self.config.size }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let paths: Vec<String> = (self.config.mmrb.paths.iter())
            .map(|p| match p.groups {
                1 => format!("{0}×{0} dilation {1}", p.kernel, p.dilation),
                g => format!("{0}×{0} dilation {1} groups {g}", p.kernel, p.dilation),
            })
            .collect();
        vec![
            ("size", self.config.size.to_string()),
            ("latent", self.config.latent_dim.to_string()),
            ("paths", paths.join(", ")),
            ("mix", format!("{:?}", self.config.mmrb.mix).to_lowercase()),
            ("upsample", format!("{:?}", self.config.upsample).to_lowercase()),
            ("inject", format!("{:?}", self.config.inject).to_lowercase()),
            ("stem unshuffle", self.config.stem_unshuffle.to_string()),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::SIGNED
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        check_square(input, self.config.size)?;
        let mut b = Builder::new(checkpoint);
        let input_node = b.graph.add_input("face", input);
        let (encoder, codes) = self.encoder(&mut b, input_node)?;
        let decoder = self.decoder(&mut b, &encoder)?;
        let latents = self.latents(&mut b, codes)?;
        let constant = b.param("generator.constant", &[1, self.channels[&4], 4, 4], 1.0)?;
        let mut x = b.add(ops::Constant { value: constant, batch: input.n }, &[])?;
        let mut rgb = None;
        for (j, &level) in self.channels.keys().enumerate() {
            let condition = self.condition(&mut b, &decoder, level)?;
            if j > 0 {
                let up = Layer { level, name: "up", noise: 2 * j - 1, sampling: Sampling::Up };
                x = self.styled(&mut b, x, latents[2 * j - 1], condition, &up)?;
            }
            let plain = Layer { level, name: "conv", noise: 2 * j, sampling: Sampling::Keep };
            x = self.styled(&mut b, x, latents[2 * j], condition, &plain)?;
            let prefix = format!("generator.levels.{level}.to_rgb");
            let modulated = Modulated {
                weight: &format!("{prefix}.weight"),
                modulation: &format!("{prefix}.modulation"),
                filter: None,
                out: 3,
                kernel: 1,
                sampling: Sampling::Keep,
                demodulate: false,
            };
            let latent = latents[2 * j + 1];
            let bias = format!("{prefix}.bias");
            rgb = Some(to_rgb(&mut b, self.family(), x, latent, modulated, &bias, rgb)?);
        }
        let Some(mut y) = rgb else { return wrong("channels", "has no level") };
        if self.config.input_skip {
            y = b.add(ops::Add, &[y, input_node])?;
        }
        Ok(b.finish(y))
    }
}

/// A table from resolution to width that must hold every power of two from 4 to `top`, and no more.
fn table(name: &str, each: &BTreeMap<String, usize>, top: usize) -> Result<BTreeMap<usize, usize>> {
    let mut table = BTreeMap::new();
    for resolution in resolutions(top) {
        match each.get(&resolution.to_string()) {
            Some(&width) if (1..=MOST_CHANNELS).contains(&width) => table.insert(resolution, width),
            Some(width) => return wrong(name, format!("is {width} at {resolution}")),
            None => return wrong(name, format!("has no entry for {resolution}")),
        };
    }
    if each.len() != table.len() {
        return wrong(name, format!("has entries beyond 4, 8, … {top}"));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> serde_json::Value {
        serde_json::json!({
            "size": 16, "channels": {"4": 8, "8": 8, "16": 4}, "latent_dim": 6, "n_mlp": 0,
            "mmrb": {
                "paths": [{"kernel": 3, "dilation": 1, "groups": 2}], "mix": "concat",
                "path_channels": 4, "slope": 0.2, "fuse_activation": false
            },
            "mmrb_per_level": 1, "upsample": "bilinear", "inject": "sft_half",
            "stem_unshuffle": 1, "input_skip": false
        })
    }

    fn read(config: serde_json::Value) -> std::result::Result<MmrbNet, String> {
        let config: Config = serde_json::from_value(config).map_err(|e| e.to_string())?;
        MmrbNet::checked(config).map_err(|e| e.to_string())
    }

    #[test]
    fn a_sound_configuration_is_accepted() {
        assert!(read(config()).is_ok());
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (pointer, value, named) in [
            ("/size", serde_json::json!(24), "size"),
            ("/stem_unshuffle", serde_json::json!(3), "stem_unshuffle"),
            ("/channels", serde_json::json!({"4": 8, "16": 4}), "channels"),
            ("/channels/8", serde_json::json!(0), "channels"),
            ("/mmrb/paths", serde_json::json!([]), "mmrb.paths"),
            ("/mmrb/path_channels", serde_json::json!(3), "mmrb.paths"),
            ("/mmrb/path_channels", serde_json::json!(0), "mmrb.path_channels"),
            ("/mmrb/path_channels", serde_json::json!(1_u64 << 33), "mmrb.path_channels"),
            ("/mmrb/path_channels", serde_json::json!(1_u64 << 60), "mmrb.path_channels"),
            ("/mmrb/slope", serde_json::json!(1.5), "mmrb.slope"),
            ("/inject", serde_json::json!("magic"), "magic"),
            ("/surprise", serde_json::json!(1), "surprise"),
        ] {
            let mut config = config();
            match config.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => config[&pointer[1..]] = value,
            }
            let error = read(config).expect_err(pointer);
            assert!(error.contains(named), "{pointer}: {error}");
        }
    }
}
