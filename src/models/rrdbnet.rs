//! RRDBNet of ESRGAN and Real-ESRGAN (x4plus, x2plus, anime 6B) and GPEN's RealESRNet: residual in
//! residual dense blocks, then two nearest ×2 steps. RGB in [0, 1]. Smaller factors unshuffle the
//! pixels of the input first.

use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Op};
use crate::nn::{Builder, ConvSpec};
use crate::plan::PixelFormat;
use crate::tensor::Shape;

/// Share of a block's result that is added to its input.
const RESIDUAL: f32 = 0.2;
/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.2;

#[derive(Debug)]
struct RrdbNet {
    features: usize,
    /// Channels that each convolution of a dense block adds.
    growth: usize,
    blocks: usize,
    /// Pixels of the input, per side, that become channels.
    unshuffle: usize,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let dense = checkpoint.tensors().any(|p| p.name.contains(".rdb1.conv"));
    let body = checkpoint.contains("conv_body.weight") || checkpoint.contains("conv_body.bias");
    (dense && body).then(|| read(checkpoint).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint) -> Result<RrdbNet> {
    let features = checkpoint.usual("", ".conv5.bias", 0)?;
    let growth = checkpoint.usual("", ".conv1.bias", 0)?;
    let blocks = checkpoint.numbered("body.");
    let first = "conv_first.weight";
    let inputs = match checkpoint.dims(first) {
        Some(&[_, inputs, _, _]) => inputs,
        _ => {
            let what = "is missing or no convolution".to_owned();
            return Err(Error::Tensor { name: first.to_owned(), what });
        }
    };
    let unshuffle = match inputs {
        3 => 1,
        12 => 2,
        48 => 4,
        _ => {
            let what = format!("takes {inputs} channels, expected 3, 12 or 48");
            return Err(Error::Tensor { name: first.to_owned(), what });
        }
    };
    Ok(RrdbNet { features, growth, blocks, unshuffle })
}

impl RrdbNet {
    fn conv(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        b.conv(x, name, ConvSpec::same(3).out(self.features))
    }

    fn active(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        let y = self.conv(b, x, name)?;
        b.leaky_relu(y, SLOPE)
    }

    /// Every convolution sees the results of all before it; the last one's joins the input.
    fn dense_block(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        let mut parts = vec![x];
        let mut all = x;
        for layer in 1..=4 {
            let spec = ConvSpec::same(3).out(self.growth);
            let y = b.conv(all, &format!("{name}.conv{layer}"), spec)?;
            parts.push(b.leaky_relu(y, SLOPE)?);
            all = b.add(Op::Concat, &parts)?;
        }
        let y = self.conv(b, all, &format!("{name}.conv5"))?;
        let y = b.add(Op::Scale(RESIDUAL), &[y])?;
        b.add(Op::Add, &[y, x])
    }
}

impl Network for RrdbNet {
    fn name(&self) -> &'static str {
        "RRDBNet"
    }

    fn task(&self) -> Task {
        // At the unshuffled size: five 3×3 convolutions per dense block, those before and after
        // the body, and less than two pixels for those that follow at twice and four times it.
        let radius = self.unshuffle * (15 * self.blocks + 2 + 2);
        let multiple = self.unshuffle;
        Task::Upscale { factor: 4 / self.unshuffle, radius, multiple, align: multiple }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("factor", (4 / self.unshuffle).to_string()),
            ("blocks", self.blocks.to_string()),
            ("channels", self.features.to_string()),
            ("growth", self.growth.to_string()),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat::UNIT
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        let multiple = self.unshuffle;
        if input.c != 3 || !input.h.is_multiple_of(multiple) || !input.w.is_multiple_of(multiple) {
            return Err(Error::Input(format!(
                "this network takes [N, 3, H, W] with sides that are multiples of {multiple}, the \
                 input is {input}"
            )));
        }
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("picture", input);
        let x = match multiple {
            1 => x,
            r => b.add(Op::PixelUnshuffle(r), &[x])?,
        };
        let first = self.conv(&mut b, x, "conv_first")?;
        let mut x = first;
        for block in 0..self.blocks {
            let mut y = x;
            for dense in ["rdb1", "rdb2", "rdb3"] {
                y = self.dense_block(&mut b, y, &format!("body.{block}.{dense}"))?;
            }
            let y = b.add(Op::Scale(RESIDUAL), &[y])?;
            x = b.add(Op::Add, &[y, x])?;
        }
        let x = self.conv(&mut b, x, "conv_body")?;
        let mut x = b.add(Op::Add, &[x, first])?;
        for up in ["conv_up1", "conv_up2"] {
            x = b.nearest(x, 2)?;
            x = self.active(&mut b, x, up)?;
        }
        let x = self.active(&mut b, x, "conv_hr")?;
        let y = b.conv(x, "conv_last", ConvSpec::same(3).out(3))?;
        Ok(b.finish(y))
    }
}
