//! GPEN (Yang et al. 2021, arXiv 2105.06070): an encoder whose features take the place of a
//! StyleGAN2 generator's noise. RGB in [-1, 1], exactly as large as the network was trained; the
//! variant for super-resolution takes a smaller face than it gives. The one that paints faces from
//! their segmentation takes and gives values in [0, 1].

use super::stylegan2::{checked_size, names, rows_of_modulated};
use super::{Network, Options, Task, ValueRange, resolutions};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, Padding, ops};
use crate::nn::stylegan2::{
    Family, Modulated, Resample, Sampling, mapping, modulated_conv, to_rgb,
};
use crate::nn::{Builder, ConvSpec, check_square};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

const FAMILY: Family = Family { resample: Resample::Fir, equalised: true };

#[derive(Debug)]
struct Gpen {
    /// Side of the face that goes in.
    input: usize,
    /// Side of the face that comes out.
    size: usize,
    /// Width of a latent vector.
    latent: usize,
    /// Layers of the mapping network.
    layers: usize,
    /// Whether features are concatenated, instead of added.
    concat: bool,
    /// Between which values its pictures lie, where the caller said it.
    range: Option<ValueRange>,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| checkpoint.has_prefix(prefix);
    let gpen = has("generator.convs.") && has("ecd0.");
    let range = options.range;
    gpen.then(|| read(checkpoint).map(|net| Box::new(Gpen { range, ..net }) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<Gpen> {
    let input = checked_size(checkpoint.numbered("ecd") + 1)?;
    let size = checked_size(checkpoint.numbered("generator.to_rgbs.") + 2)?;
    if input > size {
        return Err(Error::UnknownArchitecture(format!(
            "a GPEN whose input, {input} pixels, is larger than its output, {size}"
        )));
    }
    let latent = checkpoint.usual("", ".modulation.weight", 1)?;
    let layers = checkpoint.numbered("generator.style.").saturating_sub(1);
    let conv = rows_of_modulated(checkpoint, "generator.conv1.conv.weight")?;
    let name = "generator.conv1.activate.bias";
    let bias = checkpoint.rows(name)?;
    if bias != conv && bias != 2 * conv {
        let what = format!(
            "has {bias} values, expected {conv} or twice as many, after generator.conv1.conv.weight"
        );
        return Err(Error::Tensor { name: name.to_owned(), what });
    }
    Ok(Gpen { input, size, latent, layers, concat: bias == 2 * conv, range: None })
}

impl Gpen {
    /// The encoder's features at 4, 8, … pixels.
    fn encode(&self, b: &mut Builder, face: NodeId) -> Result<Vec<NodeId>> {
        let first = ConvSpec::same(1);
        let y = b.equal_conv(face, "ecd0.0.0.weight", Some("ecd0.0.1.bias"), first)?;
        let mut features = vec![b.scaled_leaky_relu(y)?];
        for level in 1..resolutions(self.input).count() {
            let x = features[level - 1];
            let [kernel, weight, bias] =
                ["0.kernel", "1.weight", "2.bias"].map(|part| format!("ecd{level}.0.{part}"));
            let kernel = b.param(&kernel, &[4, 4], 1.0)?;
            let blur = ops::Upfirdn2d { kernel, up: 1, down: 1, padding: Padding::all(2) };
            let x = b.add(blur, &[x])?;
            let spec = ConvSpec { stride: 2, padding: Padding::all(0), ..ConvSpec::same(3) };
            let y = b.equal_conv(x, &weight, Some(&bias), spec)?;
            features.push(b.scaled_leaky_relu(y)?);
        }
        features.reverse();
        Ok(features)
    }

    /// `√2·lrelu([conv, w·feature] + b)`, or with their sum in place of the concatenation. Above
    /// the encoder's resolution the feature is zero.
    fn styled(
        &self,
        b: &mut Builder,
        [x, latent]: [NodeId; 2],
        feature: Option<NodeId>,
        layer: &str,
        sampling: Sampling,
    ) -> Result<NodeId> {
        let weight = format!("{layer}.conv.weight");
        let out = rows_of_modulated(b.checkpoint(), &weight)?;
        let modulated = Modulated {
            weight: &weight,
            modulation: &format!("{layer}.conv.modulation"),
            filter: Some(&format!("{layer}.conv.blur.kernel")),
            out,
            kernel: 3,
            sampling,
            demodulate: true,
        };
        let mut y = modulated_conv(b, FAMILY, x, latent, modulated)?;
        let strength = b.scalar(&format!("{layer}.noise.weight"))?;
        let bias_name = format!("{layer}.activate.bias");
        if !self.concat {
            let bias = b.vector(y, &bias_name)?;
            if let Some(feature) = feature {
                let feature = b.add(ops::Scale(strength), &[feature])?;
                y = b.add(ops::Add, &[y, feature])?;
            }
            let y = b.add(ops::Bias(bias), &[y])?;
            return b.scaled_leaky_relu(y);
        }
        let bias = b.checkpoint().require(&bias_name, &[2 * out]);
        let bias = bias.map_err(|error| b.after(y, error))?;
        // Each half gets its bias and activation before the concatenation: they are written there.
        let half = |b: &mut Builder, x: NodeId, first: usize| -> Result<NodeId> {
            let rows = bias.rows(first..first + out).ok_or_else(|| {
                let what = "cannot be halved".to_owned();
                Error::Tensor { name: bias_name.clone(), what }
            })?;
            let bias = b.graph.add_param(rows);
            let y = b.add(ops::Bias(bias), &[x])?;
            b.scaled_leaky_relu(y)
        };
        let feature = match feature {
            Some(feature) => b.add(ops::Scale(strength), &[feature])?,
            None => b.add(ops::Scale(0.0), &[y])?,
        };
        let own = half(b, y, 0)?;
        let feature = half(b, feature, out)?;
        b.add(ops::Concat, &[own, feature])
    }

    fn rgb(
        &self,
        b: &mut Builder,
        [x, latent]: [NodeId; 2],
        layer: &str,
        skip: Option<NodeId>,
    ) -> Result<NodeId> {
        let modulated = Modulated {
            weight: &format!("{layer}.conv.weight"),
            modulation: &format!("{layer}.conv.modulation"),
            filter: Some(&format!("{layer}.upsample.kernel")),
            out: 3,
            kernel: 1,
            sampling: Sampling::Keep,
            demodulate: false,
        };
        to_rgb(b, FAMILY, x, latent, modulated, &format!("{layer}.bias"), skip)
    }
}

impl Network for Gpen {
    fn name(&self) -> &'static str {
        "GPEN"
    }

    fn task(&self) -> Task {
        Task::RestoreFace { size: self.size }
    }

    fn input_shape(&self, _: usize, _: usize) -> Shape {
        Shape::new(1, 3, self.input, self.input)
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("size", self.size.to_string()),
            ("latent", self.latent.to_string()),
            ("mapping layers", self.layers.to_string()),
            ("features", if self.concat { "concatenated" } else { "added" }.to_owned()),
            (
                "range",
                match self.range {
                    None => "-1..1 (assumed: the file cannot tell it from 0..1)",
                    Some(ValueRange::Signed) => "-1..1 (as you say)",
                    Some(ValueRange::Unit) => "0..1 (as you say)",
                }
                .to_owned(),
            ),
        ];
        if self.input < self.size {
            parameters.push(("input size", self.input.to_string()));
            let zero = "zero above the input's size, where upstream draws it anew each time";
            parameters.push(("noise", zero.to_owned()));
        }
        parameters
    }

    fn pixels(&self) -> PixelFormat {
        match self.range {
            Some(ValueRange::Unit) => PixelFormat::UNIT,
            _ => PixelFormat::SIGNED,
        }
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        check_square(input, self.input)?;
        let mut b = Builder::new(checkpoint);
        let face = b.graph.add_input("face", input);
        let features = self.encode(&mut b, face)?;
        let z = b.equal_linear(features[0], "final_linear.0", self.latent, 1.0)?;
        let z = b.scaled_leaky_relu(z)?;
        let w = mapping(&mut b, FAMILY, z, self.layers, |i| {
            format!("generator.{}", (names::ROSINALITY.mapping)(i))
        })?;
        let constant = "generator.input.input";
        let channels = match checkpoint.dims(constant) {
            Some(&[1, channels, 4, 4]) => channels,
            _ => {
                let what = "is missing or not [1, C, 4, 4]".to_owned();
                return Err(Error::Tensor { name: constant.to_owned(), what });
            }
        };
        let value = b.param(constant, &[1, channels, 4, 4], 1.0)?;
        let x = b.add(ops::Constant { value, batch: input.n }, &[])?;
        let first = features.first().copied();
        let mut x = self.styled(&mut b, [x, w], first, "generator.conv1", Sampling::Keep)?;
        let mut rgb = self.rgb(&mut b, [x, w], "generator.to_rgb1", None)?;
        for level in 1..resolutions(self.size).count() {
            let feature = features.get(level).copied();
            for (i, sampling) in [(2 * level - 2, Sampling::Up), (2 * level - 1, Sampling::Keep)] {
                let layer = format!("generator.convs.{i}");
                x = self.styled(&mut b, [x, w], feature, &layer, sampling)?;
            }
            let layer = format!("generator.to_rgbs.{}", level - 1);
            rgb = self.rgb(&mut b, [x, w], &layer, Some(rgb))?;
        }
        Ok(b.finish(rgb))
    }
}
