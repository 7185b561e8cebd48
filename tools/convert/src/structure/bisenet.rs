//! BiSeNet: a ResNet of basic blocks, attention over channels at two levels, and their fusion.

use super::Mapped;
use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op, Resize, Window};
use super::norm::Normed;

/// More blocks of a ResNet's layer than any has.
const MOST: usize = 64;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut first_miss = None;
    for &output in &graph.outputs {
        match main(graph, output) {
            Ok(mut mapped) => {
                if graph.outputs.len() > 1 {
                    mapped.notes.push(
                        "the file's other results, the coarse maps that only its training needs"
                            .into(),
                    );
                }
                return Ok(mapped);
            }
            Err(miss) => {
                first_miss.get_or_insert(miss);
            }
        }
    }
    match first_miss {
        Some(miss) => Err(miss),
        None => graph.miss(0, "an output"),
    }
}

/// The network that ends in the fine map `at`.
fn main(graph: &Graph, at: Id) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let corners = |op: &Op| matches!(op, Op::Resize { mode: Resize::Corners, .. });
    let y = graph.unary(at, corners, "a bilinear resize that keeps the corners")?;
    let (out, y) = graph.conv(y, Spec::same(1))?;
    let (head, y) = active(graph, y, 3)?;
    let ([first, second], pooled, [fused, fine_pair]) = fusion(graph, y)?;
    let &[eighth, fine] = graph.channels(fine_pair)?.as_slice() else {
        return graph.miss(fine_pair, "the features of two paths");
    };
    let (head16, y) = active(graph, fine, 3)?;
    let (arm16, coarse) = graph.either(graph.sum(nearest(graph, y)?)?, |id| refined(graph, id))?;
    let (head32, y) = active(graph, coarse, 3)?;
    let (arm32, whole) = graph.either(graph.sum(nearest(graph, y)?)?, |id| refined(graph, id))?;
    let (average, y) = active(graph, nearest(graph, whole)?, 1)?;
    let (last_side, last) = mean(graph, y)?;
    if last != arm32.input {
        return graph.miss(last, "the backbone's last features");
    }
    // Means over all pixels, where the file says over how many: each level has half of the next.
    let sides = [pooled, arm16.side, arm32.side];
    let halved = sides.windows(2).all(|pair| match *pair {
        [Some([h, w]), Some([below_h, below_w])] => [h, w] == [2 * below_h, 2 * below_w],
        _ => pair == [None, None],
    });
    if !halved || last_side != arm32.side {
        return graph.miss(at, "means over all pixels");
    }

    mapped.layer("conv_out.conv_out", out);
    mapped.active("conv_out.conv", head);
    mapped.layer("ffm.conv1", first);
    mapped.layer("ffm.conv2", second);
    let (blend, pair) = active(graph, fused, 1)?;
    if pair != fine_pair {
        return graph.miss(pair, "the features of two paths");
    }
    mapped.active("ffm.convblk", blend);
    mapped.active("cp.conv_head16", head16);
    mapped.active("cp.conv_head32", head32);
    mapped.active("cp.conv_avg", average);
    let [sixteenth, thirty_second] = [arm16.input, arm32.input];
    for (name, arm) in [("cp.arm16", arm16), ("cp.arm32", arm32)] {
        mapped.active(&format!("{name}.conv"), arm.conv);
        let [conv, norm] = [format!("{name}.conv_atten"), format!("{name}.bn_atten")];
        mapped.normed([&conv, &norm], arm.attention, false);
    }
    backbone(graph, [eighth, sixteenth, thirty_second], &mut mapped)?;
    Ok(mapped)
}

impl Mapped {
    fn active(&mut self, name: &str, normed: Normed) {
        self.normed([&format!("{name}.conv"), &format!("{name}.bn")], normed, false);
    }
}

/// A normalised convolution and a ReLU.
fn active(graph: &Graph, at: Id, kernel: usize) -> Found<(Normed, Id)> {
    graph.conv_norm(graph.leaky(at, 0.0)?, Spec::same(kernel))
}

fn nearest(graph: &Graph, at: Id) -> Found<Id> {
    let is = |op: &Op| matches!(op, Op::Resize { mode: Resize::Nearest, .. });
    graph.unary(at, is, "a resize to the finer level")
}

/// The mean over all pixels: of how many rows and columns, where the file says so.
fn mean(graph: &Graph, at: Id) -> Found<(Option<[usize; 2]>, Id)> {
    match graph.step(at, "a mean over all pixels")? {
        (Op::Mean(_), &[x]) => Ok((None, x)),
        (Op::AveragePool(kernel), &[x]) => Ok((Some(*kernel), x)),
        _ => graph.miss(at, "a mean over all pixels"),
    }
}

/// A convolution's result, weighted by what its own mean gives.
struct Refined {
    conv: Normed,
    attention: Normed,
    side: Option<[usize; 2]>,
    input: Id,
}

fn refined(graph: &Graph, at: Id) -> Found<Refined> {
    let factors = |id: Id| {
        let y = graph.unary(id, |op| matches!(op, Op::Sigmoid), "factors")?;
        let (attention, y) = graph.conv_norm(y, Spec::same(1))?;
        let (side, x) = mean(graph, y)?;
        Ok((attention, side, x))
    };
    let ((attention, side, of), y) = graph.either(graph.product(at)?, factors)?;
    if of != y {
        return graph.miss(of, "the mean of what is weighted");
    }
    let (conv, input) = active(graph, y, 3)?;
    Ok(Refined { conv, attention, side, input })
}

/// `f + f·attention(f)`: both linear layers, the mean's sides, `f` and what it was made of.
type Fusion = ([Layer; 2], Option<[usize; 2]>, [Id; 2]);

fn fusion(graph: &Graph, at: Id) -> Found<Fusion> {
    let factors = |id: Id| {
        let y = graph.unary(id, |op| matches!(op, Op::Sigmoid), "factors")?;
        let (second, y) = graph.conv(y, Spec::same(1))?;
        let (first, y) = graph.conv(graph.leaky(y, 0.0)?, Spec::same(1))?;
        let (side, x) = mean(graph, y)?;
        if first.bias.is_some() || second.bias.is_some() {
            return graph.miss(id, "layers without biases");
        }
        Ok(([first, second], side, x))
    };
    let weighted = |id: Id| graph.either(graph.product(id)?, factors);
    let (((layers, side, of), f), other) = graph.either(graph.sum(at)?, weighted)?;
    if of != f || other != f {
        return graph.miss(at, "features plus their weighted ones");
    }
    let (_, pair) = active(graph, f, 1)?;
    Ok((layers, side, [f, pair]))
}

/// The ResNet, from its last features to the picture.
fn backbone(graph: &Graph, levels: [Id; 3], mapped: &mut Mapped) -> Found<()> {
    let mut x = *levels.last().unwrap_or(&0);
    for number in (1..=4).rev() {
        if number > 1 && levels.get(number - 2) != Some(&x) {
            return graph.miss(x, "the features of the level before");
        }
        let mut blocks = Vec::new();
        loop {
            // A block of the layer below begins where its features are taken.
            let ends = number > 2 && levels.get(number - 3) == Some(&x);
            let found = if ends { graph.miss(x, "a block") } else { basic(graph, x, number) };
            match found {
                Ok((block, below)) if blocks.len() < MOST => {
                    let begins = block.len() == 3;
                    blocks.push(block);
                    x = below;
                    // Only the first block of a layer has a convolution beside it, but in layer 1.
                    if begins {
                        break;
                    }
                }
                Err(miss) if blocks.is_empty() => return Err(miss),
                _ => break,
            }
        }
        for (i, block) in blocks.into_iter().rev().enumerate() {
            let name = format!("cp.resnet.layer{number}.{i}");
            for (part, normed) in block.into_iter().enumerate() {
                let [conv, norm] = match part {
                    2 => ["downsample.0".to_string(), "downsample.1".to_string()],
                    part => [format!("conv{}", part + 1), format!("bn{}", part + 1)],
                };
                let [conv, norm] = [format!("{name}.{conv}"), format!("{name}.{norm}")];
                mapped.normed([&conv, &norm], normed, false);
            }
        }
    }
    let pool = Window { stride: [2; 2], padding: [1; 4], dilation: [1; 2], groups: 1 };
    let is = |op: &Op| matches!(op, Op::MaxPool(window, [3, 3]) if *window == pool);
    let y = graph.unary(x, is, "the largest of each 3×3 pixels")?;
    let (stem, y) = graph.conv_norm(graph.leaky(y, 0.0)?, Spec::same(7).stride(2))?;
    mapped.normed(["cp.resnet.conv1", "cp.resnet.bn1"], stem, false);
    graph.input(y)
}

/// Two convolutions, and a third where the shape changes; the block's input.
fn basic(graph: &Graph, at: Id, number: usize) -> Found<(Vec<Normed>, Id)> {
    let both = graph.sum(graph.leaky(at, 0.0)?)?;
    let chain = |id: Id, stride: usize| {
        let (second, y) = graph.conv_norm(id, Spec::same(3))?;
        let spec = Spec::same(3).stride(stride);
        let (first, x) = graph.conv_norm(graph.leaky(y, 0.0)?, spec)?;
        Ok((vec![first, second], x))
    };
    if let Ok(((convs, x), shortcut)) = graph.either(both, |id| chain(id, 1))
        && shortcut == x
    {
        return Ok((convs, x));
    }
    let stride = if number > 1 { 2 } else { 1 };
    let ((mut convs, x), shortcut) = graph.either(both, |id| chain(id, stride))?;
    let (down, from) = graph.conv_norm(shortcut, Spec::same(1).stride(stride))?;
    if from != x {
        return graph.miss(from, "the block's input");
    }
    convs.push(down);
    Ok((convs, x))
}
