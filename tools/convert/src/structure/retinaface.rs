//! RetinaFace with the MobileNet-0.25 or the ResNet-50 backbone: a feature pyramid, context modules,
//! three heads on each of three levels.

use super::Mapped;
use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op, Resize, Window};
use super::norm::Normed;

const LEVELS: usize = 3;
/// Heads and their channels, which are for two anchors at each place.
const HEADS: [(&str, usize); 3] = [("ClassHead", 4), ("BboxHead", 8), ("LandmarkHead", 20)];
/// Steps of the blocks of MobileNet-0.25's three stages.
const MOBILE_STRIDES: [&[usize]; LEVELS] = [&[2, 1, 2, 1, 2, 1], &[2, 1, 1, 1, 1, 1], &[2, 1]];
/// Slope of MobileNet's activations.
const SLOPE: f32 = 0.1;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut contexts: Option<Vec<Id>> = None;
    let first = graph.outputs.first().copied().unwrap_or_default();
    if graph.outputs.len() != HEADS.len() {
        return graph.miss(first, "three results");
    }
    let mut taken = 0;
    for &output in &graph.outputs {
        let (rows, heads, from) = heads(graph, output)?;
        let Some(index) = HEADS.iter().position(|&(_, channels)| channels == rows) else {
            return graph.miss(output, "a head of 4, 8 or 20 channels");
        };
        taken |= 1 << index;
        if contexts.get_or_insert_with(|| from.clone()) != &from {
            return graph.miss(output, "heads on the same features");
        }
        let name = HEADS.get(index).map(|(name, _)| *name).unwrap_or_default();
        for (level, head) in heads.into_iter().enumerate() {
            mapped.layer(&format!("{name}.{level}.conv1x1"), head);
        }
    }
    if taken != (1 << HEADS.len()) - 1 {
        return graph.miss(first, "heads of 4, 8 and 20 channels");
    }
    let mut levels = Vec::new();
    for (level, at) in contexts.unwrap_or_default().into_iter().enumerate() {
        levels.push(context(graph, at, &format!("ssh{}", level + 1), &mut mapped)?);
    }
    let &[fine, middle, coarse] = levels.as_slice() else {
        return graph.miss(first, "three levels");
    };
    let features = pyramid(graph, [fine, middle, coarse], &mut mapped)?;
    match mobile(graph, features) {
        Ok(layers) => mapped.tensors.extend(layers.tensors),
        Err(mobile) => match resnet(graph, features) {
            Ok(layers) => mapped.tensors.extend(layers.tensors),
            Err(resnet) => return Err(if mobile.at < resnet.at { mobile } else { resnet }),
        },
    }
    Ok(mapped)
}

/// The channels, convolutions and features of one head on all levels.
fn heads(graph: &Graph, at: Id) -> Found<(usize, Vec<Layer>, Vec<Id>)> {
    let at = graph.unary(at, |op| matches!(op, Op::Softmax), "probabilities").unwrap_or(at);
    let parts = graph.channels(at)?;
    if parts.len() != LEVELS {
        return graph.miss(at, "the results of three levels");
    }
    let (mut layers, mut from) = (Vec::new(), Vec::new());
    let mut rows = None;
    for part in parts {
        let (layer, x) = graph.conv(graph.unshaped(part), Spec::same(1))?;
        let own = layer.weight.dims().first().copied();
        if *rows.get_or_insert(own) != own {
            return graph.miss(part, "heads of as many channels");
        }
        layers.push(layer);
        from.push(x);
    }
    Ok((rows.flatten().unwrap_or_default(), layers, from))
}

/// The slope of activations: narrow pyramids leak, wide ones do not.
fn slope(width: usize) -> f32 {
    if width <= 64 { 0.1 } else { 0.0 }
}

impl Mapped {
    fn numbered(&mut self, name: &str, [conv, norm]: [usize; 2], normed: Normed) {
        self.normed([&format!("{name}.{conv}"), &format!("{name}.{norm}")], normed, false);
    }
}

/// A context module, and the features that it is given.
fn context(graph: &Graph, at: Id, name: &str, mapped: &mut Mapped) -> Found<Id> {
    let all = graph.leaky(at, 0.0)?;
    let &[small, middle, large] = graph.channels(all)?.as_slice() else {
        return graph.miss(all, "windows of three sizes");
    };
    let spec = Spec::same(3);
    let (small, x) = graph.conv_norm(small, spec)?;
    let slope = slope(2 * small.channels());
    let (middle, shared) = graph.conv_norm(middle, spec)?;
    let (large, y) = graph.conv_norm(large, spec)?;
    let (second, again) = graph.conv_norm(graph.leaky(y, slope)?, spec)?;
    let (first, from) = graph.conv_norm(graph.leaky(shared, slope)?, spec)?;
    if again != shared || from != x {
        return graph.miss(all, "windows that share their first convolution");
    }
    let layers = [
        ("conv3X3", small),
        ("conv5X5_1", first),
        ("conv5X5_2", middle),
        ("conv7X7_2", second),
        ("conv7x7_3", large),
    ];
    for (part, normed) in layers {
        mapped.numbered(&format!("{name}.{part}"), [0, 1], normed);
    }
    Ok(x)
}

/// The feature pyramid, and the backbone's features that it is given.
fn pyramid(
    graph: &Graph,
    [fine, middle, coarse]: [Id; LEVELS],
    mapped: &mut Mapped,
) -> Found<[Id; LEVELS]> {
    // The slope depends on the width, which the weights of the same step tell.
    let active = |at: Id, kernel: usize| match graph.step(at, "an activation")? {
        (&Op::Leaky(found), &[y]) => {
            let (normed, x) = graph.conv_norm(y, Spec::same(kernel))?;
            match found == slope(normed.channels()) {
                true => Ok((normed, x)),
                false => graph.miss(at, "a leaky ReLU of another slope"),
            }
        }
        _ => graph.miss(at, "a leaky ReLU"),
    };
    let merged = |at: Id, coarser: Id| {
        let (normed, sum) = active(at, 3)?;
        let nearest = |op: &Op| matches!(op, Op::Resize { mode: Resize::Nearest, .. });
        let enlarged = |id| match graph.unary(id, nearest, "a resize to the finer level")? {
            found if found == coarser => Ok(()),
            found => graph.miss(found, "the features of the coarser level"),
        };
        let ((), own) = graph.either(graph.sum(sum)?, enlarged)?;
        Ok((normed, own))
    };
    let (merge2, middle_own) = merged(middle, coarse)?;
    let (merge1, fine_own) = merged(fine, middle)?;
    mapped.numbered("fpn.merge1", [0, 1], merge1);
    mapped.numbered("fpn.merge2", [0, 1], merge2);
    let mut features = [0; LEVELS];
    let owns = [fine_own, middle_own, coarse];
    for (i, (feature, own)) in features.iter_mut().zip(owns).enumerate() {
        let (normed, x) = active(own, 1)?;
        mapped.numbered(&format!("fpn.output{}", i + 1), [0, 1], normed);
        *feature = x;
    }
    Ok(features)
}

/// MobileNet-0.25.
fn mobile(graph: &Graph, features: [Id; LEVELS]) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut x = *features.last().unwrap_or(&0);
    for (stage, (strides, feature)) in MOBILE_STRIDES.iter().zip(features).enumerate().rev() {
        if x != feature {
            return graph.miss(x, "the features of the level before");
        }
        for (i, &stride) in strides.iter().enumerate().rev() {
            let name = format!("body.stage{}.{i}", stage + 1);
            let spec = Spec::same(3).stride(stride);
            let y = graph.leaky(x, SLOPE)?;
            if (stage, i) == (0, 0) {
                let (normed, below) = graph.conv_norm(y, spec)?;
                mapped.numbered(&name, [0, 1], normed);
                x = below;
                continue;
            }
            let (point, y) = graph.conv_norm(y, Spec::same(1))?;
            let (depth, below) = graph.conv_norm(graph.leaky(y, SLOPE)?, spec.depthwise())?;
            mapped.numbered(&name, [0, 1], depth);
            mapped.numbered(&name, [3, 4], point);
            x = below;
        }
    }
    graph.input(x)?;
    Ok(mapped)
}

/// ResNet with bottlenecks, which halves in the 3×3 convolution.
fn resnet(graph: &Graph, features: [Id; LEVELS]) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut x = *features.last().unwrap_or(&0);
    for number in (1..=4).rev() {
        if number > 1 && features.get(number - 2) != Some(&x) {
            return graph.miss(x, "the features of the level before");
        }
        let mut blocks = Vec::new();
        loop {
            let (block, below, last) = bottleneck(graph, x, number)?;
            blocks.push(block);
            x = below;
            if last {
                break;
            }
        }
        for (i, block) in blocks.into_iter().rev().enumerate() {
            let name = format!("body.layer{number}.{i}");
            for (part, normed) in block.into_iter().enumerate() {
                let [conv, norm] = match part {
                    3 => ["downsample.0".to_string(), "downsample.1".to_string()],
                    part => [format!("conv{}", part + 1), format!("bn{}", part + 1)],
                };
                mapped.normed(
                    [&format!("{name}.{conv}"), &format!("{name}.{norm}")],
                    normed,
                    false,
                );
            }
        }
    }
    let pool = Window { stride: [2; 2], padding: [1; 4], dilation: [1; 2], groups: 1 };
    let is = |op: &Op| matches!(op, Op::MaxPool(window, [3, 3]) if *window == pool);
    let y = graph.unary(x, is, "the largest of each 3×3 pixels")?;
    let spec = Spec::same(7).stride(2);
    let (stem, y) = graph.conv_norm(graph.leaky(y, 0.0)?, spec)?;
    mapped.normed(["body.conv1", "body.bn1"], stem, false);
    graph.input(y)?;
    Ok(mapped)
}

/// Three convolutions, and a fourth where the block begins a layer; the input; whether it does.
fn bottleneck(graph: &Graph, at: Id, number: usize) -> Found<(Vec<Normed>, Id, bool)> {
    let both = graph.sum(graph.leaky(at, 0.0)?)?;
    let stride = if number > 1 { 2 } else { 1 };
    let chain = |id: Id, stride: usize| {
        let (third, y) = graph.conv_norm(id, Spec::same(1))?;
        let spec = Spec::same(3).stride(stride);
        let (second, y) = graph.conv_norm(graph.leaky(y, 0.0)?, spec)?;
        let (first, x) = graph.conv_norm(graph.leaky(y, 0.0)?, Spec::same(1))?;
        Ok((vec![first, second, third], x))
    };
    // Blocks after the first add their own input.
    if let Ok(((convs, x), shortcut)) = graph.either(both, |id| chain(id, 1))
        && shortcut == x
    {
        return Ok((convs, x, false));
    }
    let ((mut convs, x), shortcut) = graph.either(both, |id| chain(id, stride))?;
    let (down, from) = graph.conv_norm(shortcut, Spec::same(1).stride(stride))?;
    if from != x {
        return graph.miss(from, "the block's input");
    }
    convs.push(down);
    Ok((convs, x, true))
}
