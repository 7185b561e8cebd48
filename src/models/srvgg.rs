//! SRVGGNetCompact of Real-ESRGAN: plain 3×3 convolutions, pixel shuffle, plus the nearest-upsampled
//! input. RGB in [0, 1], or one or four channels of it.

use super::channels::Channels;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Activation, Graph, NodeId, ops};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// The slope of public checkpoints without PReLU tensors; the file cannot tell it from ReLU.
const DEFAULT_SLOPE: f32 = 0.1;

#[derive(Debug)]
struct Srvgg {
    /// Without PReLU tensors, and whether the caller gave it.
    slope: (f32, bool),
    channels: usize,
    /// Convolutions between the first and the last.
    convs: usize,
    factor: usize,
    prelu: bool,
    /// Of the pictures, both in and out.
    colours: Channels,
}

pub(super) fn recognise(
    checkpoint: &Checkpoint,
    options: &Options,
) -> Option<Result<Box<dyn Network>>> {
    let layer = |name: &str| -> Option<usize> {
        let (index, _) = name.strip_prefix("body.")?.split_once('.')?;
        index.parse().ok()
    };
    let plain = |name: &str| layer(name).is_some() && name.matches('.').count() == 2;
    let mut body = checkpoint.tensors().filter(|p| p.name.starts_with("body."));
    let convs = checkpoint.tensors().any(|p| p.dims.len() == 4 && plain(&p.name));
    if !convs || !body.all(|p| plain(&p.name)) {
        return None;
    }
    let slope = (options.slope.unwrap_or(DEFAULT_SLOPE), options.slope.is_some());
    Some(read(checkpoint, slope).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint, slope: (f32, bool)) -> Result<Srvgg> {
    let channels = checkpoint.usual("body.", ".bias", 0)?;
    let last = checkpoint.numbered("body.").saturating_sub(1);
    if last % 2 == 1 || last == 0 {
        return Err(Error::UnknownArchitecture(format!(
            "body.{last}.weight should be the last convolution of an SRVGGNetCompact, which stand \
             at even places"
        )));
    }
    let name = format!("body.{last}.weight");
    let out = checkpoint.rows(&name)?;
    let inputs = match checkpoint.dims("body.0.weight") {
        Some(&[_, inputs, _, _]) => inputs,
        _ => 3,
    };
    let Some(colours) = Channels::new(inputs, inputs) else {
        return Err(Error::Tensor {
            name: "body.0.weight".to_owned(),
            what: format!("takes {inputs} channels, expected 1, 3 or 4"),
        });
    };
    let factor = (out / inputs).isqrt();
    if factor == 0 || inputs * factor * factor != out {
        return Err(Error::Tensor {
            name,
            what: format!("has {out} rows, expected {inputs} times a square (one per sub-pixel)"),
        });
    }
    let prelu = (checkpoint.tensors())
        .any(|p| p.dims.len() == 1 && p.name.starts_with("body.") && p.name.ends_with(".weight"));
    Ok(Srvgg { slope, channels, convs: last / 2 - 1, factor, prelu, colours })
}

impl Network for Srvgg {
    fn name(&self) -> &'static str {
        "SRVGGNetCompact"
    }

    fn task(&self) -> Task {
        Task::Upscale { factor: self.factor, radius: self.convs + 2, multiple: 1, align: 1 }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let activation = match self.prelu {
            true => "PReLU".to_owned(),
            false => match self.slope {
                (slope, true) => format!("leaky ReLU {slope} (as you say)"),
                (slope, false) => {
                    format!("leaky ReLU {slope} (assumed: the file cannot tell it from ReLU)")
                }
            },
        };
        let mut parameters = vec![
            ("channels", self.channels.to_string()),
            ("convolutions", (self.convs + 2).to_string()),
            ("factor", self.factor.to_string()),
            ("activation", activation),
        ];
        let colours = self.colours.description();
        parameters.extend(colours.map(|colours| ("picture's channels", colours.to_owned())));
        parameters
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        if input.c != 3 {
            return Err(Error::Input(format!("this network takes 3 channels, got {input}")));
        }
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("picture", input);
        let y = self.colours.run(&mut b, x, |b, x| self.enlarge(b, x))?;
        Ok(b.finish(y))
    }
}

impl Srvgg {
    fn enlarge(&self, b: &mut Builder, x: NodeId) -> Result<NodeId> {
        let mut y = x;
        for layer in 0..=self.convs {
            let name = format!("body.{}", 2 * layer);
            y = b.conv(y, &name, ConvSpec::same(3).out(self.channels))?;
            y = if self.prelu {
                let slope = format!("body.{}.weight", 2 * layer + 1);
                let slope = b.param(&slope, &[self.channels], 1.0)?;
                b.add(Activation::Prelu(slope), &[y])?
            } else {
                b.leaky_relu(y, self.slope.0)?
            };
        }
        let last = format!("body.{}", 2 * self.convs + 2);
        let out = self.colours.output * self.factor * self.factor;
        let y = b.conv(y, &last, ConvSpec::same(3).out(out))?;
        let y = b.add(ops::PixelShuffle(self.factor), &[y])?;
        let base = b.nearest(x, self.factor)?;
        b.add(ops::Add, &[y, base])
    }
}
