//! YuNet: separable convolutions, three levels, four heads on each.

use super::Mapped;
use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op, Resize, Window};
use super::norm::Normed;

/// Heads and their channels. The class and the objectness have as many, and the score is the root of
/// their product: it does not matter which is which.
const HEADS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];
const LEVELS: usize = 3;
/// Stages of the backbone.
const STAGES: usize = 6;
/// Stages before which the size halves.
const HALVED: [usize; 4] = [1, 3, 4, 5];

/// A 1×1 convolution and a filter per channel.
struct Unit {
    point: Layer,
    depth: Normed,
}

/// One of the results: its two convolutions, and the features that they are given.
struct Head {
    point: Layer,
    depth: Layer,
    from: Id,
}

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut heads: Vec<Head> = Vec::new();
    for &output in &graph.outputs {
        heads.push(head(graph, output)?);
    }
    let mut levels: Vec<Id> = Vec::new();
    for head in &heads {
        if !levels.contains(&head.from) {
            levels.push(head.from);
        }
    }
    let first = graph.outputs.first().copied().unwrap_or_default();
    if levels.len() != LEVELS || heads.len() != LEVELS * HEADS.len() {
        return graph.miss(first, "four results of each of three levels");
    }
    // The coarsest level is the one that sees no other.
    let mut shared = Vec::new();
    for &level in &levels {
        let (unit, feature) = unit(graph, level)?;
        shared.push((level, unit, feature));
    }
    shared.sort_by_key(|&(_, _, feature)| feature);
    let mut mapped = Mapped::default();
    let mut coarser: Option<Id> = None;
    let mut backbone: Option<Id> = None;
    // Features of finer levels are computed later.
    for (place, (level, share, feature)) in shared.into_iter().enumerate() {
        let number = LEVELS - 1 - place;
        mapped.unit(&format!("bbox_head.multi_level_share_convs.{number}.0"), share);
        let mut taken = 0;
        for head in heads.iter().filter(|head| head.from == level) {
            let rows = head.point.weight.dims().first().copied().unwrap_or_default();
            let same = HEADS.iter().enumerate().filter(|(_, (_, channels))| *channels == rows);
            let Some((index, (name, _))) = same.clone().find(|(i, _)| taken & (1 << i) == 0) else {
                return graph.miss(level, "a head of 1, 1, 4 and 10 channels each");
            };
            taken |= 1 << index;
            let name = format!("bbox_head.multi_level_{name}.{number}");
            mapped.layer(&format!("{name}.conv1"), head.point.clone());
            mapped.layer(&format!("{name}.conv2"), head.depth.clone());
        }
        let (lateral, below) = unit(graph, feature)?;
        mapped.unit(&format!("neck.lateral_convs.{number}"), lateral);
        let own = match coarser {
            None => below,
            Some(coarser) => {
                let up = |id| match graph.resized(id, Resize::Nearest, 2.0)? {
                    found if found == coarser => Ok(()),
                    found => graph.miss(found, "the features of the coarser level"),
                };
                graph.either(graph.sum(below)?, up)?.1
            }
        };
        coarser = Some(feature);
        if backbone.is_some_and(|x| x != own) {
            return graph.miss(own, "the features of the stage before");
        }
        // Stages 5, 4 and 3 give the features; the last one goes on to the picture.
        let stage = STAGES - 1 - place;
        let last = if number == 0 { 1 } else { stage };
        let mut x = own;
        for stage in (last..=stage).rev() {
            for part in ["conv2", "conv1"] {
                let (unit, below) = unit(graph, x)?;
                mapped.unit(&format!("backbone.model{stage}.{part}"), unit);
                x = below;
            }
            if HALVED.contains(&stage) {
                x = pooled(graph, x)?;
            }
        }
        backbone = Some(x);
        if number == 0 {
            let (unit, below) = unit(graph, x)?;
            mapped.unit("backbone.model0.conv2", unit);
            let spec = Spec::same(3).stride(2);
            let (conv, below) = graph.conv_norm(graph.leaky(below, 0.0)?, spec)?;
            mapped.normed(["backbone.model0.conv1", "backbone.model0.bn1"], conv, true);
            graph.input(below)?;
        }
    }
    Ok(mapped)
}

impl Mapped {
    fn unit(&mut self, name: &str, unit: Unit) {
        self.layer(&format!("{name}.conv1"), unit.point);
        self.normed([&format!("{name}.conv2"), &format!("{name}.bn")], unit.depth, true);
    }
}

fn unit(graph: &Graph, at: Id) -> Found<(Unit, Id)> {
    let (depth, y) = graph.conv_norm(graph.leaky(at, 0.0)?, Spec::same(3).depthwise())?;
    let (point, x) = graph.conv(y, Spec::same(1))?;
    Ok((Unit { point, depth }, x))
}

fn head(graph: &Graph, at: Id) -> Found<Head> {
    let y = graph.unshaped(at);
    let y = match graph.step(y, "a head")? {
        (Op::Sigmoid, &[x]) => graph.unshaped(x),
        _ => y,
    };
    // A filter of one channel is depthwise too.
    let (depth, y) = graph.conv(y, Spec::same(3).depthwise())?;
    let (point, from) = graph.conv(y, Spec::same(1))?;
    Ok(Head { point, depth, from })
}

/// What half the size is the largest of.
fn pooled(graph: &Graph, at: Id) -> Found<Id> {
    let half = Window { stride: [2; 2], padding: [0; 4], dilation: [1; 2], groups: 1 };
    let is = |op: &Op| matches!(op, Op::MaxPool(window, [2, 2]) if *window == half);
    graph.unary(at, is, "the largest of each 2×2 pixels")
}
