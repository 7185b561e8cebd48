//! RRDBNet of ESRGAN and its successors: residual in residual dense blocks, then nearest ×2 steps.
//! RGB in [0, 1]. Real-ESRGAN's networks of smaller factors unshuffle the pixels of the input first.
//!
//! One network under three sets of names: BasicSR's (Real-ESRGAN, GPEN's RealESRNet), those of mmsr
//! and KAIR (BSRGAN, RealSR), and the numbers of ESRGAN's first program, which most community models
//! have. ESRGAN+ (Rakotonirina, Rasoanaivo 2020) adds a 1×1 convolution to every dense block.

use super::channels::Channels;
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, NodeId, ops};
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Share of a block's result that is added to its input.
const RESIDUAL: f32 = 0.2;
/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.2;
/// More doublings than any published network has.
const MOST_STEPS: usize = 5;

/// How a program names the layers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Names {
    /// `conv_first`, `body.0.rdb1.conv1`, `conv_body`, `conv_up1`, `conv_hr`, `conv_last`
    BasicSr,
    /// `conv_first`, `RRDB_trunk.0.RDB1.conv1`, `trunk_conv`, `upconv1`, `HRconv`, `conv_last`
    Mmsr,
    /// `model.0`, `model.1.sub.0.RDB1.conv1.0`, `model.1.sub.23`, `model.3`, `model.6`, …
    Numbers,
}

impl Names {
    fn of(checkpoint: &Checkpoint) -> Option<Self> {
        let has = |name: &str| {
            checkpoint.contains(&format!("{name}.weight"))
                || checkpoint.contains(&format!("{name}.bias"))
        };
        let dense = |part: &str| checkpoint.tensors().any(|p| p.name.contains(part));
        if has("conv_body") && dense(".rdb1.conv") {
            Some(Self::BasicSr)
        } else if has("trunk_conv") && dense("RRDB_trunk.0.RDB1.conv") {
            Some(Self::Mmsr)
        } else if (has("model.0") || has("model.3")) && dense("model.1.sub.0.RDB1.conv") {
            Some(Self::Numbers)
        } else {
            None
        }
    }

    /// What stands before the number of a block.
    fn blocks(self) -> &'static str {
        match self {
            Self::BasicSr => "body.",
            Self::Mmsr => "RRDB_trunk.",
            Self::Numbers => "model.1.sub.",
        }
    }

    fn first(self) -> &'static str {
        if self == Self::Numbers { "model.0" } else { "conv_first" }
    }

    /// The dense block `dense`, from 1.
    fn dense(self, block: usize, dense: usize) -> String {
        let rdb = if self == Self::BasicSr { "rdb" } else { "RDB" };
        format!("{}{block}.{rdb}{dense}", self.blocks())
    }

    /// What follows the name of a layer in a dense block.
    fn layer_end(self) -> &'static str {
        if self == Self::Numbers { ".0" } else { "" }
    }

    fn trunk(self, blocks: usize) -> String {
        match self {
            Self::BasicSr => "conv_body".to_owned(),
            Self::Mmsr => "trunk_conv".to_owned(),
            Self::Numbers => format!("model.1.sub.{blocks}"),
        }
    }

    /// The convolution after the doubling `step`, from 1. In a list of modules, each comes after the
    /// doubling itself and before its activation.
    fn up(self, step: usize) -> String {
        match self {
            Self::BasicSr => format!("conv_up{step}"),
            Self::Mmsr => format!("upconv{step}"),
            Self::Numbers => format!("model.{}", 3 * step),
        }
    }

    /// The two convolutions at the full size.
    fn last(self, steps: usize) -> [String; 2] {
        match self {
            Self::BasicSr => ["conv_hr", "conv_last"].map(str::to_owned),
            Self::Mmsr => ["HRconv", "conv_last"].map(str::to_owned),
            Self::Numbers => [2, 4].map(|after| format!("model.{}", 3 * steps + after)),
        }
    }

    /// How often the size doubles.
    fn steps(self, checkpoint: &Checkpoint) -> Result<usize> {
        if self != Self::Numbers {
            let has = |step: &usize| checkpoint.has_prefix(&format!("{}.", self.up(*step)));
            return Ok((1..=MOST_STEPS).filter(has).max().unwrap_or(0));
        }
        let last = checkpoint.numbered("model.").saturating_sub(1);
        match last.checked_sub(4) {
            Some(rest) if rest % 3 == 0 && rest / 3 <= MOST_STEPS => Ok(rest / 3),
            _ => Err(Error::UnknownArchitecture(format!(
                "model.{last} should be the last convolution of an ESRGAN, which is model.4 of one \
                 that keeps the size, model.7, model.10 or model.13 of those for ×2, ×4 and ×8"
            ))),
        }
    }
}

#[derive(Debug)]
struct RrdbNet {
    names: Names,
    features: usize,
    /// Channels that each convolution of a dense block adds.
    growth: usize,
    blocks: usize,
    /// Pixels of the input, per side, that become channels.
    unshuffle: usize,
    /// Doublings.
    steps: usize,
    channels: Channels,
    /// Whether dense blocks have the 1×1 convolution of ESRGAN+.
    plus: bool,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let names = Names::of(checkpoint)?;
    Some(read(checkpoint, names).map(|net| Box::new(net) as Box<dyn Network>))
}

fn read(checkpoint: &Checkpoint, names: Names) -> Result<RrdbNet> {
    let end = names.layer_end();
    let features = checkpoint.usual(names.blocks(), &format!(".conv5{end}.bias"), 0)?;
    let growth = checkpoint.usual(names.blocks(), &format!(".conv1{end}.bias"), 0)?;
    // The list of ESRGAN's first program ends with the convolution after the blocks.
    let blocks = checkpoint.numbered(names.blocks()) - usize::from(names == Names::Numbers);
    let steps = names.steps(checkpoint)?;
    let [_, last] = names.last(steps);
    let (first, last) = (format!("{}.weight", names.first()), format!("{last}.weight"));
    let inputs = match checkpoint.dims(&first) {
        Some(&[_, inputs, _, _]) => inputs,
        _ => {
            let what = "is missing or not a convolution".to_owned();
            return Err(Error::Tensor { name: first, what });
        }
    };
    let outputs = checkpoint.rows(&last)?;
    // As many channels in as out, before the pixels are unshuffled, is what all public ones have.
    let found = |alike: bool| {
        [1, 2, 4].into_iter().find_map(|r: usize| {
            let channels = Channels::new(inputs / (r * r), outputs)?;
            let whole = inputs.is_multiple_of(r * r);
            (whole && (!alike || channels.input == channels.output)).then_some((r, channels))
        })
    };
    let Some((unshuffle, channels)) = found(true).or_else(|| found(false)) else {
        let what = format!(
            "takes {inputs} channels, where {last} gives {outputs}: expected 1, 3 or 4, and in the \
             input as many, or 4 or 16 times as many"
        );
        return Err(Error::Tensor { name: first, what });
    };
    if 1 << steps < unshuffle {
        let what = format!("takes {inputs} channels, which {steps} doublings do not enlarge");
        return Err(Error::Tensor { name: first, what });
    }
    let plus = checkpoint.tensors().any(|p| p.name.contains(".conv1x1."));
    Ok(RrdbNet { names, features, growth, blocks, unshuffle, steps, channels, plus })
}

impl RrdbNet {
    fn factor(&self) -> usize {
        (1 << self.steps) / self.unshuffle
    }

    fn conv(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        b.conv(x, name, ConvSpec::same(3).out(self.features))
    }

    fn active(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        let y = self.conv(b, x, name)?;
        b.leaky_relu(y, SLOPE)
    }

    /// Every convolution sees the results of all before it; the last one's joins the input. In
    /// ESRGAN+ the second result gains a 1×1 convolution of the input, and the fourth the second.
    fn dense_block(&self, b: &mut Builder, x: NodeId, name: &str) -> Result<NodeId> {
        let end = self.names.layer_end();
        let mut parts = vec![x];
        let mut all = x;
        for layer in 1..=4 {
            let spec = ConvSpec::same(3).out(self.growth);
            let y = b.conv(all, &format!("{name}.conv{layer}{end}"), spec)?;
            let mut y = b.leaky_relu(y, SLOPE)?;
            if self.plus && layer == 2 {
                let spec = ConvSpec::same(1).out(self.growth).without_bias();
                let short = b.conv(x, &format!("{name}.conv1x1"), spec)?;
                y = b.add(ops::Add, &[y, short])?;
            } else if self.plus && layer == 4 {
                y = b.add(ops::Add, &[y, parts[2]])?;
            }
            parts.push(y);
            all = b.add(ops::Concat, &parts)?;
        }
        let y = self.conv(b, all, &format!("{name}.conv5{end}"))?;
        let y = b.add(ops::Scale(RESIDUAL), &[y])?;
        b.add(ops::Add, &[y, x])
    }

    fn enlarge(&self, b: &mut Builder, x: NodeId) -> Result<NodeId> {
        let names = self.names;
        let x = match self.unshuffle {
            1 => x,
            r => b.add(ops::PixelUnshuffle(r), &[x])?,
        };
        let first = self.conv(b, x, names.first())?;
        let mut x = first;
        for block in 0..self.blocks {
            let mut y = x;
            for dense in 1..=3 {
                y = self.dense_block(b, y, &names.dense(block, dense))?;
            }
            let y = b.add(ops::Scale(RESIDUAL), &[y])?;
            x = b.add(ops::Add, &[y, x])?;
        }
        let x = self.conv(b, x, &names.trunk(self.blocks))?;
        let mut x = b.add(ops::Add, &[x, first])?;
        for step in 1..=self.steps {
            x = b.nearest(x, 2)?;
            x = self.active(b, x, &names.up(step))?;
        }
        let [before, last] = names.last(self.steps);
        let x = self.active(b, x, &before)?;
        b.conv(x, &last, ConvSpec::same(3).out(self.channels.output))
    }
}

impl Network for RrdbNet {
    fn name(&self) -> &'static str {
        "RRDBNet"
    }

    fn task(&self) -> Task {
        // At the unshuffled size: five 3×3 convolutions per dense block, those before and after
        // the body, and less than two pixels for those that follow at twice it and more.
        let radius = self.unshuffle * (15 * self.blocks + 2 + 2);
        let multiple = self.unshuffle;
        Task::Upscale { factor: self.factor(), radius, multiple, align: multiple }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("factor", self.factor().to_string()),
            ("blocks", self.blocks.to_string()),
            ("channels", self.features.to_string()),
            ("growth", self.growth.to_string()),
        ];
        let names = match self.names {
            Names::BasicSr => None,
            Names::Mmsr => Some("as in BSRGAN and RealSR"),
            Names::Numbers => Some("as in the first ESRGAN"),
        };
        parameters.extend(names.map(|names| ("names", names.to_owned())));
        if self.plus {
            parameters.push(("dense blocks", "of ESRGAN+, with a 1×1 convolution".to_owned()));
        }
        let colours = self.channels.description();
        parameters.extend(colours.map(|colours| ("picture's channels", colours.to_owned())));
        parameters
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
        let y = self.channels.run(&mut b, x, |b, x| self.enlarge(b, x))?;
        Ok(b.finish(y))
    }
}
