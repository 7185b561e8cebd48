//! YuNet (Wu, Peng, Yu 2023, *YuNet: A Tiny Millisecond-level Face Detector*): separable
//! convolutions throughout, no anchors. BGR in [0, 255], sides that are multiples of 32. Reproduces
//! the network that its authors export to ONNX.

use super::detection::{Detection, STRIDES, levels};
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Conv2d, Graph, NodeId, ops};
use crate::nn::batch_norm::Normalised;
use crate::nn::{Builder, ConvSpec};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Sides are multiples of the coarsest level's step.
const MULTIPLE: usize = STRIDES[2];
/// Heads and their channels: class, objectness, box, landmarks.
const HEADS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];
/// Output channels of a level.
const CHANNELS: usize = 1 + 1 + 4 + 10;
/// Stages of the backbone; the last three yield the features of a level each.
const STAGES: usize = 6;
/// Stages after which the size halves.
const HALVED: [usize; 4] = [0, 2, 3, 4];

#[derive(Debug)]
struct YuNet {
    /// Channels of the pyramid.
    width: usize,
    /// Separable convolutions of a level before its heads.
    shared: usize,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| checkpoint.has_prefix(prefix);
    if !has("bbox_head.multi_level_") || !has("backbone.model0.") {
        return None;
    }
    let width = checkpoint.usual("neck.", ".conv1.bias", 0);
    let levels = 0..HALVED.len() - 1;
    let shared = levels
        .map(|level| checkpoint.numbered(&format!("bbox_head.multi_level_share_convs.{level}.")))
        .max()
        .unwrap_or(0);
    Some(width.map(|width| Box::new(YuNet { width, shared }) as Box<dyn Network>))
}

/// A 1×1 convolution, a filter per channel, its normalisation, ReLU.
fn unit(b: &mut Builder, x: NodeId, name: &str, out: Option<usize>) -> Result<NodeId> {
    let y = b.conv(x, &format!("{name}.conv1"), ConvSpec { out, ..ConvSpec::same(1) })?;
    let channels = b.shape(y).c;
    let filter = ConvSpec { groups: channels, ..ConvSpec::same(3).out(channels) };
    let names = Normalised { conv: &format!("{name}.conv2"), norm: &format!("{name}.bn") };
    let y = b.conv_norm(y, names, filter)?;
    b.leaky_relu(y, 0.0)
}

/// The heads of a level, in the order of [`HEADS`], as one separable convolution.
fn heads(b: &mut Builder, x: NodeId, level: usize) -> Result<NodeId> {
    let names = |part: &str| {
        HEADS.map(|(head, rows)| (format!("bbox_head.multi_level_{head}.{level}.{part}"), rows))
    };
    let y = b.stacked_conv(x, &names("conv1"))?;
    let [weight, bias] = b.stacked(y, &names("conv2"), &[1, 3, 3])?;
    let conv = Conv2d { groups: CHANNELS, ..Conv2d::same(weight, 3) };
    let y = b.add(conv, &[y])?;
    b.add(ops::Bias(bias), &[y])
}

impl YuNet {
    /// The features of all levels.
    fn backbone(&self, b: &mut Builder, x: NodeId) -> Result<[NodeId; 3]> {
        let first = "backbone.model0";
        let names = Normalised { conv: &format!("{first}.conv1"), norm: &format!("{first}.bn1") };
        let y = b.conv_norm(x, names, ConvSpec { stride: 2, ..ConvSpec::same(3) })?;
        let y = b.leaky_relu(y, 0.0)?;
        let mut y = unit(b, y, &format!("{first}.conv2"), None)?;
        let mut features = [y; 3];
        for stage in 1..STAGES {
            if HALVED.contains(&(stage - 1)) {
                y = b.add(ops::MaxPool2d { kernel: 2, stride: 2, padding: 0 }, &[y])?;
            }
            y = unit(b, y, &format!("backbone.model{stage}.conv1"), None)?;
            y = unit(b, y, &format!("backbone.model{stage}.conv2"), None)?;
            if let Some(level) = (stage + 3).checked_sub(STAGES) {
                features[level] = y;
            }
        }
        Ok(features)
    }
}

impl Network for YuNet {
    fn name(&self) -> &'static str {
        "YuNet"
    }

    fn task(&self) -> Task {
        Task::Detect { multiple: MULTIPLE }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        vec![
            ("channels", self.width.to_string()),
            ("convolutions before heads", self.shared.to_string()),
        ]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat { channels: 3, bgr: true, scale: [1.0; 3], offset: [0.0; 3] }
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        let multiples = input.h.is_multiple_of(MULTIPLE) && input.w.is_multiple_of(MULTIPLE);
        if input.c != 3 || !multiples {
            return Err(Error::Input(format!(
                "this network takes [N, 3, H, W] with sides that are multiples of {MULTIPLE}, the \
                 input is {input}"
            )));
        }
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("picture", input);
        let mut levels = self.backbone(&mut b, x)?;
        for level in (0..levels.len()).rev() {
            let mut x = levels[level];
            if let Some(&coarser) = levels.get(level + 1) {
                let coarser = b.nearest(coarser, 2)?;
                x = b.add(ops::Add, &[x, coarser])?;
            }
            let name = format!("neck.lateral_convs.{level}");
            levels[level] = unit(&mut b, x, &name, Some(self.width))?;
        }
        for (level, x) in levels.into_iter().enumerate() {
            let mut x = x;
            // YuNet-s has none.
            for layer in 0..self.shared {
                let name = format!("bbox_head.multi_level_share_convs.{level}.{layer}");
                x = unit(&mut b, x, &name, Some(self.width))?;
            }
            let y = heads(&mut b, x, level)?;
            b.graph.set_output(y);
        }
        Ok(b.graph)
    }

    /// The score is `√(class · objectness)`; centres and landmarks are relative to their place, in
    /// steps of the level, sizes are logarithms.
    fn detections(
        &self,
        input: Shape,
        outputs: &[Vec<f32>],
        threshold: f32,
    ) -> Result<Vec<Detection>> {
        let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
        let mut found = Vec::new();
        for level in levels(input, outputs, CHANNELS)? {
            let step = level.stride as f32;
            for place in 0..level.height * level.width {
                let (h, w) = (place / level.width, place % level.width);
                let at = |channel: usize| level.at(channel, h, w);
                let score = (sigmoid(at(0)) * sigmoid(at(1))).sqrt();
                if score <= threshold {
                    continue;
                }
                let x = |offset: f32| (w as f32 + offset) * step;
                let y = |offset: f32| (h as f32 + offset) * step;
                let [width, height] = [at(4).exp() * step, at(5).exp() * step];
                let [left, top] = [x(at(2)) - width / 2.0, y(at(3)) - height / 2.0];
                found.push(Detection {
                    score,
                    bounds: [left, top, left + width, top + height],
                    landmarks: std::array::from_fn(|i| [x(at(6 + 2 * i)), y(at(7 + 2 * i))]),
                });
            }
        }
        Ok(found)
    }
}
