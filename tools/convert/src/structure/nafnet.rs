//! NAFNet: a U-Net of blocks in which halves of the channels are multiplied.

use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op};
use super::{Array, Mapped};

/// What the layer norms add to variances.
const EPSILON: f32 = 1e-6;

/// A block: its layers under their names, and its input.
struct Block {
    layers: Vec<(&'static str, Layer)>,
    /// `beta` and `gamma`.
    factors: [Array; 2],
    input: Id,
}

/// What is known of a level on the way up, while the way down is not reached.
struct Up {
    blocks: Vec<Block>,
    layer: Layer,
    /// The features on the way down that are added.
    skip: Id,
}

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let output = graph.output()?;
    let at = uncropped(graph, output);
    let ((ending, mut x), picture) =
        graph.either(graph.sum(at)?, |id| graph.conv(id, Spec::same(3)))?;
    let mut ups: Vec<Up> = Vec::new();
    let (mut blocks, down) = loop {
        let (blocks, end) = run(graph, x);
        match up(graph, end) {
            Ok((layer, skip, from)) => {
                ups.push(Up { blocks, layer, skip });
                x = from;
            }
            Err(_) => break (blocks, end),
        }
    };
    name(&mut mapped, "middle_blks", std::mem::take(&mut blocks));
    let (levels, mut x) = (ups.len(), down);
    // The last level on the way up is the first on the way down.
    let mut skips = Vec::new();
    for (level, up) in ups.into_iter().rev().enumerate() {
        mapped.layer(&format!("ups.{level}.0"), up.layer);
        name(&mut mapped, &format!("decoders.{level}"), up.blocks);
        skips.push(up.skip);
    }
    for (level, skip) in (0..levels).rev().zip(skips) {
        let (layer, from) = graph.conv(x, Spec { kernel: 2, ..Spec::same(1).stride(2) })?;
        if from != skip {
            return graph.miss(from, "the features that are added on the way up");
        }
        mapped.layer(&format!("downs.{level}"), layer);
        let (blocks, end) = run(graph, from);
        name(&mut mapped, &format!("encoders.{level}"), blocks);
        x = end;
    }
    let (intro, from) = graph.conv(x, Spec::same(3))?;
    if from != picture {
        return graph.miss(from, "the picture that is added in the end");
    }
    graph.input(unfilled(graph, picture, at != output))?;
    if !mapped.tensors.iter().any(|(name, _)| name.starts_with("middle_blks.")) {
        return graph.miss(down, "a block of NAFNet");
    }
    mapped.layer("intro", intro);
    mapped.layer("ending", ending);
    Ok(mapped)
}

/// The result before rows below and columns to the right were cut off.
fn uncropped(graph: &Graph, mut at: Id) -> Id {
    while let Ok((Op::Run { axis: 2 | 3, start: 0 } | Op::Crop, &[x])) = graph.step(at, "a crop") {
        at = x;
    }
    at
}

/// The picture before zeros were added below and to the right: so many as the file computes from its
/// size, where the first rows and columns of the result are taken.
fn unfilled(graph: &Graph, at: Id, cropped: bool) -> Id {
    match graph.step(at, "a border") {
        Ok((&Op::Pad(Some([0, 0, _, _])), &[x])) => x,
        Ok((&Op::Pad(None), &[x])) if cropped => x,
        _ => at,
    }
}

/// Consecutive blocks, the last first, and the input of the first.
fn run(graph: &Graph, mut at: Id) -> (Vec<Block>, Id) {
    let mut blocks = Vec::new();
    while let Ok(block) = block(graph, at) {
        at = block.input;
        blocks.push(block);
    }
    (blocks, at)
}

/// The convolution before a pixel shuffle, what is added behind it, and its input.
fn up(graph: &Graph, at: Id) -> Found<(Layer, Id, Id)> {
    let ((factor, y), skip) = graph.either(graph.sum(at)?, |id| graph.shuffled(id))?;
    let (layer, from) = graph.conv(y, Spec::same(1))?;
    match factor == 2 && layer.bias.is_none() {
        true => Ok((layer, skip, from)),
        false => graph.miss(at, "a pixel shuffle of 2 behind a convolution without bias"),
    }
}

/// Writes the blocks, which are given the last first.
fn name(mapped: &mut Mapped, part: &str, blocks: Vec<Block>) {
    for (i, block) in blocks.into_iter().rev().enumerate() {
        for (layer, tensors) in block.layers {
            mapped.layer(&format!("{part}.{i}.{layer}"), tensors);
        }
        for (factor, array) in ["beta", "gamma"].into_iter().zip(block.factors) {
            mapped.push(format!("{part}.{i}.{factor}"), array);
        }
    }
}

fn block(graph: &Graph, at: Id) -> Found<Block> {
    // The second half: x + γ · conv5(gate(conv4(norm2(x)))).
    let ((conv5, gamma, gated), middle) =
        graph.either(graph.sum(at)?, |id| scaled_conv(graph, id))?;
    let (conv4, y) = graph.conv(gate(graph, gated)?, Spec::same(1))?;
    let (norm2, x) = norm(graph, y)?;
    if x != middle {
        return graph.miss(x, "the sum in the middle of a block");
    }
    // The first half: x + β · conv3(attended(gate(conv2(conv1(norm1(x)))))).
    let ((conv3, beta, attended), input) =
        graph.either(graph.sum(middle)?, |id| scaled_conv(graph, id))?;
    let factor = |id| {
        let (layer, mean) = graph.conv(id, Spec::same(1))?;
        Ok((layer, graph.mean(mean, &[2, 3])?))
    };
    let ((attention, mean_of), gated) = graph.either(graph.product(attended)?, factor)?;
    if mean_of != gated {
        return graph.miss(mean_of, "the mean of what is multiplied");
    }
    let (conv2, y) = graph.conv(gate(graph, gated)?, Spec::same(3).depthwise())?;
    let (conv1, y) = graph.conv(y, Spec::same(1))?;
    let (norm1, x) = norm(graph, y)?;
    if x != input {
        return graph.miss(x, "the block's input");
    }
    let layers = vec![
        ("norm1", norm1),
        ("conv1", conv1),
        ("conv2", conv2),
        ("sca.1", attention),
        ("conv3", conv3),
        ("norm2", norm2),
        ("conv4", conv4),
        ("conv5", conv5),
    ];
    Ok(Block { layers, factors: [beta, gamma], input })
}

/// A 1×1 convolution, the factor per channel behind it, and its input. A factor that the exporter
/// multiplied into the convolution is 1.
fn scaled_conv(graph: &Graph, at: Id) -> Found<(Layer, Array, Id)> {
    let (factor, y) = match graph.times_constant(at) {
        Ok((factor, y)) => (Some(factor), y),
        Err(_) => (None, at),
    };
    let (layer, x) = graph.conv(y, Spec::same(1))?;
    let channels = layer.weight.dims().first().copied().unwrap_or_default();
    let factor = factor.or_else(|| Array::filled(channels, 1.0));
    match factor.and_then(|factor| factor.reshaped(&[1, channels, 1, 1])) {
        Some(factor) => Ok((layer, factor, x)),
        None => graph.miss(at, "a factor per channel"),
    }
}

/// What was cut into halves that are multiplied.
fn gate(graph: &Graph, at: Id) -> Found<Id> {
    let [a, b] = graph.product(at)?;
    let halves = |a, b| Ok([graph.part(a, 1, 0, 2)?, graph.part(b, 1, 1, 2)?]);
    let [first, second] = halves(a, b).or_else(|_| halves(b, a))?;
    match first == second {
        true => Ok(first),
        false => graph.miss(at, "the product of both halves"),
    }
}

/// A layer norm of the channels of each pixel.
fn norm(graph: &Graph, at: Id) -> Found<(Layer, Id)> {
    let (Layer { weight, bias }, x) = graph.layer_norm(at, EPSILON, &[1])?;
    let vector = |array: Array| array.reshaped(&[array.numel()]);
    match (vector(weight), bias.and_then(vector)) {
        (Some(weight), bias @ Some(_)) => Ok((Layer { weight, bias }, x)),
        _ => graph.miss(at, "a factor and a summand per channel"),
    }
}
