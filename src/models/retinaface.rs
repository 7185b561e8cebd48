//! RetinaFace (Deng et al. 2019, arXiv 1905.00641) with the MobileNet-0.25 or the ResNet-50 backbone
//! of biubug6 and facexlib: finds faces and five landmarks. BGR minus a mean, of any size.

use super::detection::{Detection, STRIDES, levels};
use super::{Network, Options, Task};
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, Interpolation, NodeId, ops};
use crate::nn::batch_norm::Normalised;
use crate::nn::{Builder, ConvSpec, resnet};
use crate::pixels::PixelFormat;
use crate::tensor::Shape;
use crate::{Error, Result};

/// Mean of blue, green, red.
const MEAN: [f32; 3] = [104.0, 117.0, 123.0];
/// Sides of the two anchors at each place of a level, in pixels.
const ANCHORS: [[f32; 2]; 3] = [[16.0, 32.0], [64.0, 128.0], [256.0, 512.0]];
/// Scales of predicted centres and sizes.
const VARIANCES: [f32; 2] = [0.1, 0.2];
/// Output channels of a level: per anchor two logits, four numbers of the box, ten of the landmarks.
const CHANNELS: usize = 2 * (2 + 4 + 10);
/// Steps of the blocks of MobileNet-0.25's three stages.
const MOBILE_STRIDES: [&[usize]; 3] = [&[2, 1, 2, 1, 2, 1], &[2, 1, 1, 1, 1, 1], &[2, 1]];

#[derive(Debug)]
struct RetinaFace {
    mobile: bool,
    /// Channels of the feature pyramid.
    width: usize,
}

pub(super) fn recognise(checkpoint: &Checkpoint, _: &Options) -> Option<Result<Box<dyn Network>>> {
    let has = |prefix: &str| checkpoint.has_prefix(prefix);
    if !has("ssh1.") || !has("LandmarkHead.") {
        return None;
    }
    let mobile = has("body.stage1.");
    let width = checkpoint.usual("fpn.", ".1.bias", 0);
    Some(width.map(|width| Box::new(RetinaFace { mobile, width }) as Box<dyn Network>))
}

/// The network's prediction for one anchor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prediction {
    /// Of "no face" and "face".
    pub logits: [f32; 2],
    /// Of the box, relative to the anchor.
    pub bounds: [f32; 4],
    /// x and y of the five landmarks, relative to the anchor.
    pub landmarks: [f32; 10],
}

/// A box where faces are looked for: centre x, y, width, height, as parts of the picture.
pub type Anchor = [f32; 4];

impl Prediction {
    /// The probability of "face" by softmax.
    pub fn score(&self) -> f32 {
        let [no, yes] = self.logits;
        let largest = no.max(yes);
        let [no, yes] = [(no - largest).exp(), (yes - largest).exp()];
        yes / (no + yes)
    }

    /// Left, top, right, bottom, as parts of the picture.
    pub fn bounds(&self, anchor: &Anchor) -> [f32; 4] {
        let [x, y, width, height] = *anchor;
        let [dx, dy, dw, dh] = self.bounds;
        let width_now = width * (dw * VARIANCES[1]).exp();
        let height_now = height * (dh * VARIANCES[1]).exp();
        let left = x + dx * VARIANCES[0] * width - width_now / 2.0;
        let top = y + dy * VARIANCES[0] * height - height_now / 2.0;
        [left, top, left + width_now, top + height_now]
    }

    /// `[x, y]` of each landmark, as parts of the picture.
    pub fn landmarks(&self, anchor: &Anchor) -> [[f32; 2]; 5] {
        let [x, y, width, height] = *anchor;
        std::array::from_fn(|i| {
            let [dx, dy] = [self.landmarks[2 * i], self.landmarks[2 * i + 1]];
            [x + dx * VARIANCES[0] * width, y + dy * VARIANCES[0] * height]
        })
    }
}

/// The anchors of a picture of `height × width` pixels: by level, row, column, size.
pub fn anchors(height: usize, width: usize) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for (stride, sides) in STRIDES.into_iter().zip(ANCHORS) {
        let columns = width.div_ceil(stride);
        for place in 0..height.div_ceil(stride) * columns {
            let centre = |at: usize| (at as f32 + 0.5) * stride as f32;
            let [x, y] = [centre(place % columns), centre(place / columns)];
            let [width, height] = [width as f32, height as f32];
            anchors.extend(sides.map(|side| [x / width, y / height, side / width, side / height]));
        }
    }
    anchors
}

/// The predictions for each anchor of a picture of shape `input`, from its outputs.
///
/// # Errors
/// [`Error::Input`] when the outputs are not those of such a picture.
pub fn predictions(input: Shape, outputs: &[Vec<f32>]) -> Result<Vec<Prediction>> {
    let mut all = Vec::new();
    for level in levels(input, outputs, CHANNELS)? {
        for place in 0..level.height * level.width {
            let at = |channel: usize| level.at(channel, place / level.width, place % level.width);
            all.extend([0, 1].map(|a| Prediction {
                logits: std::array::from_fn(|i| at(2 * a + i)),
                bounds: std::array::from_fn(|i| at(4 + 4 * a + i)),
                landmarks: std::array::from_fn(|i| at(12 + 10 * a + i)),
            }));
        }
    }
    Ok(all)
}

impl RetinaFace {
    /// The backbone's features at 8, 16 and 32 pixels.
    fn backbone(&self, b: &mut Builder, x: NodeId) -> Result<[NodeId; 3]> {
        if !self.mobile {
            let x = resnet::stem(b, x, "body.")?;
            let x = resnet::layer(b, x, "body.", 1)?;
            let eighth = resnet::layer(b, x, "body.", 2)?;
            let sixteenth = resnet::layer(b, eighth, "body.", 3)?;
            return Ok([eighth, sixteenth, resnet::layer(b, sixteenth, "body.", 4)?]);
        }
        let mut features = [x; 3];
        let mut y = x;
        for (stage, strides) in MOBILE_STRIDES.into_iter().enumerate() {
            for (i, &stride) in strides.iter().enumerate() {
                let name = format!("body.stage{}.{i}", stage + 1);
                y = match (stage, i) {
                    (0, 0) => normalised(b, y, &name, [0, 1], ConvSpec::same(3), stride)?,
                    _ => separable(b, y, &name, stride)?,
                };
            }
            features[stage] = y;
        }
        Ok(features)
    }
}

/// Class, box and landmark heads of a level as one 1×1 convolution.
fn heads(b: &mut Builder, x: NodeId, level: usize) -> Result<NodeId> {
    let heads = [("ClassHead", 4), ("BboxHead", 8), ("LandmarkHead", 20)];
    let names = heads.map(|(head, rows)| (format!("{head}.{level}.conv1x1"), rows));
    b.stacked_conv(x, &names)
}

/// Convolution and normalisation.
fn linear(b: &mut Builder, x: NodeId, name: &str, spec: ConvSpec) -> Result<NodeId> {
    let names = Normalised { conv: &format!("{name}.0"), norm: &format!("{name}.1") };
    b.conv_norm(x, names, spec.without_bias())
}

/// Convolution, normalisation and activation: narrow pyramids leak, wide ones do not.
fn active(b: &mut Builder, x: NodeId, name: &str, spec: ConvSpec, width: usize) -> Result<NodeId> {
    let y = linear(b, x, name, spec)?;
    b.leaky_relu(y, if width <= 64 { 0.1 } else { 0.0 })
}

/// Feature pyramid: features of three levels as `width` channels each, those of coarser levels
/// added to finer ones.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn pyramid(
    b: &mut Builder,
    features: [NodeId; 3],
    prefix: &str,
    width: usize,
) -> Result<[NodeId; 3]> {
    let mut levels = features;
    for (i, x) in features.into_iter().enumerate() {
        let spec = ConvSpec::same(1).out(width);
        levels[i] = active(b, x, &format!("{prefix}output{}", i + 1), spec, width)?;
    }
    for i in [1, 0] {
        let coarser = b.resize_like(levels[i + 1], levels[i], Interpolation::Nearest)?;
        let sum = b.add(ops::Add, &[levels[i], coarser])?;
        let spec = ConvSpec::same(3).out(width);
        levels[i] = active(b, sum, &format!("{prefix}merge{}", i + 1), spec, width)?;
    }
    Ok(levels)
}

/// Context module (SSH): 3×3, 5×5 and 7×7 windows as chains of 3×3 convolutions.
///
/// # Errors
/// When a tensor is missing or misshapen.
pub fn context(b: &mut Builder, x: NodeId, prefix: &str, width: usize) -> Result<NodeId> {
    let layer = |part: &str| format!("{prefix}{part}");
    let half = ConvSpec::same(3).out(width / 2);
    let quarter = ConvSpec::same(3).out(width / 4);
    let small = linear(b, x, &layer("conv3X3"), half)?;
    let shared = active(b, x, &layer("conv5X5_1"), quarter, width)?;
    let middle = linear(b, shared, &layer("conv5X5_2"), quarter)?;
    let y = active(b, shared, &layer("conv7X7_2"), quarter, width)?;
    let large = linear(b, y, &layer("conv7x7_3"), quarter)?;
    let mut parts = [small, middle, large];
    for part in &mut parts {
        *part = b.leaky_relu(*part, 0.0)?;
    }
    b.add(ops::Concat, &parts)
}

/// Convolution, normalisation, leaky ReLU of MobileNet; `parts` number both tensors.
fn normalised(
    b: &mut Builder,
    x: NodeId,
    name: &str,
    parts: [usize; 2],
    spec: ConvSpec,
    stride: usize,
) -> Result<NodeId> {
    let [conv, norm] = parts.map(|part| format!("{name}.{part}"));
    let spec = ConvSpec { stride, ..spec.without_bias() };
    let y = b.conv_norm(x, Normalised { conv: &conv, norm: &norm }, spec)?;
    b.leaky_relu(y, 0.1)
}

/// A filter per channel, then a 1×1 convolution.
fn separable(b: &mut Builder, x: NodeId, name: &str, stride: usize) -> Result<NodeId> {
    let channels = b.shape(x).c;
    let depthwise = ConvSpec { groups: channels, ..ConvSpec::same(3).out(channels) };
    let y = normalised(b, x, name, [0, 1], depthwise, stride)?;
    normalised(b, y, name, [3, 4], ConvSpec::same(1), 1)
}

impl Network for RetinaFace {
    fn name(&self) -> &'static str {
        "RetinaFace"
    }

    fn task(&self) -> Task {
        Task::Detect { multiple: 1 }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let backbone = if self.mobile { "MobileNet-0.25" } else { "ResNet-50" };
        vec![("backbone", backbone.to_owned()), ("channels", self.width.to_string())]
    }

    fn pixels(&self) -> PixelFormat {
        PixelFormat { channels: 3, bgr: true, scale: [1.0; 3], offset: MEAN.map(|m| -m) }
    }

    fn build(&self, checkpoint: &Checkpoint, input: Shape) -> Result<Graph> {
        if input.c != 3 {
            return Err(Error::Input(format!("this network takes 3 channels, got {input}")));
        }
        let mut b = Builder::new(checkpoint);
        let x = b.graph.add_input("picture", input);
        let features = self.backbone(&mut b, x)?;
        let levels = pyramid(&mut b, features, "fpn.", self.width)?;
        for (level, x) in levels.into_iter().enumerate() {
            let x = context(&mut b, x, &format!("ssh{}.", level + 1), self.width)?;
            let y = heads(&mut b, x, level)?;
            b.graph.set_output(y);
        }
        Ok(b.graph)
    }

    fn detections(
        &self,
        input: Shape,
        outputs: &[Vec<f32>],
        threshold: f32,
    ) -> Result<Vec<Detection>> {
        let [width, height] = [input.w, input.h].map(|n| n as f32);
        let all = anchors(input.h, input.w).into_iter().zip(predictions(input, outputs)?);
        let found = all.filter_map(|(anchor, prediction)| {
            let score = prediction.score();
            (score > threshold).then(|| {
                let [left, top, right, bottom] = prediction.bounds(&anchor);
                let landmarks = prediction.landmarks(&anchor);
                Detection {
                    score,
                    bounds: [left * width, top * height, right * width, bottom * height],
                    landmarks: landmarks.map(|[x, y]| [x * width, y * height]),
                }
            })
        });
        Ok(found.collect())
    }
}
