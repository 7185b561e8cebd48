//! RRDBNet: residual in residual dense blocks. In files of other formats it is the same whether it
//! was saved under ESRGAN's old names or under the new ones, which it gets here.

use super::Mapped;
use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op, Resize};

/// Share of a block's result that is added to its input.
const RESIDUAL: f32 = 0.2;
/// Slope of every leaky ReLU.
const SLOPE: f32 = 0.2;
/// Dense blocks of a block.
const DENSE: usize = 3;
/// Convolutions of a dense block.
const CONVS: usize = 5;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let (last, x) = graph.conv(graph.output()?, Spec::same(3))?;
    let (hr, mut x) = graph.conv(graph.leaky(x, SLOPE)?, Spec::same(3))?;
    let mut ups = Vec::new();
    while let Ok((up, below)) = up(graph, x) {
        ups.push(up);
        x = below;
    }
    let ((first, _), trunk) = graph.either(graph.sum(x)?, |id| first(graph, id))?;
    let begin = if graph.sum(x)? == [trunk, trunk] { trunk } else { other(graph.sum(x)?, trunk) };
    let (body, mut x) = graph.conv(trunk, Spec::same(3))?;
    let mut blocks = Vec::new();
    while x != begin {
        let (block, below) = block(graph, x)?;
        blocks.push(block);
        x = below;
    }
    let mut mapped = Mapped::default();
    mapped.layer("conv_first", first);
    for (i, block) in blocks.into_iter().rev().enumerate() {
        for (j, dense) in block.into_iter().rev().enumerate() {
            for (k, conv) in dense.into_iter().enumerate() {
                mapped.layer(&format!("body.{i}.rdb{}.conv{}", j + 1, k + 1), conv);
            }
        }
    }
    mapped.layer("conv_body", body);
    for (i, up) in ups.into_iter().rev().enumerate() {
        mapped.layer(&format!("conv_up{}", i + 1), up);
    }
    mapped.layer("conv_hr", hr);
    mapped.layer("conv_last", last);
    Ok(mapped)
}

fn other([a, b]: [Id; 2], one: Id) -> Id {
    if a == one { b } else { a }
}

/// The first convolution, of the input or of its unshuffled pixels.
fn first(graph: &Graph, at: Id) -> Found<(Layer, Id)> {
    let (conv, x) = graph.conv(at, Spec::same(3))?;
    let x = graph.unshuffled(x).unwrap_or(x);
    graph.input(x)?;
    Ok((conv, x))
}

/// Twice the size, a convolution, an activation.
fn up(graph: &Graph, at: Id) -> Found<(Layer, Id)> {
    let (conv, x) = graph.conv(graph.leaky(at, SLOPE)?, Spec::same(3))?;
    Ok((conv, graph.resized(x, Resize::Nearest, 2.0)?))
}

/// `x + 0.2 · y`: y and x.
fn residual(graph: &Graph, at: Id) -> Found<(Id, Id)> {
    graph.either(graph.sum(at)?, |id| graph.scaled_by(id, RESIDUAL))
}

/// The convolutions of the dense blocks, the last block first, and what the first was given.
fn block(graph: &Graph, at: Id) -> Found<(Vec<Vec<Layer>>, Id)> {
    let (mut y, begin) = residual(graph, at)?;
    let mut blocks = Vec::new();
    for _ in 0..DENSE {
        let (convs, below) = dense(graph, y)?;
        blocks.push(convs);
        y = below;
    }
    if y != begin {
        return graph.miss(y, "three dense blocks");
    }
    Ok((blocks, begin))
}

/// The convolutions of a dense block, each of which sees the results of all before it.
fn dense(graph: &Graph, at: Id) -> Found<(Vec<Layer>, Id)> {
    let ((last, all), begin) = match residual(graph, at) {
        Ok((y, begin)) => (graph.conv(y, Spec::same(3))?, begin),
        // Where the factor was folded into the convolution, it is taken out again.
        Err(miss) => {
            let folded = |id| {
                let (conv, all) = graph.conv(id, Spec::same(3))?;
                graph.channels(all)?;
                match conv.before_scaling(RESIDUAL) {
                    Some(conv) => Ok((conv, all)),
                    None => graph.miss(id, "a convolution"),
                }
            };
            graph.either(graph.sum(at)?, folded).map_err(|_| miss)?
        }
    };
    let parts = graph.channels(all)?;
    if parts.len() != CONVS || parts.first() != Some(&begin) {
        return graph.miss(all, "the block's input and four results");
    }
    let mut convs = Vec::new();
    for (i, &part) in parts.iter().enumerate().skip(1) {
        let (conv, seen) = graph.conv(graph.leaky(part, SLOPE)?, Spec::same(3))?;
        // Some exporters concatenate the first with nothing.
        let seen_parts = graph.channels(seen).unwrap_or_else(|_| vec![seen]);
        if parts.get(..i) != Some(&seen_parts) {
            return graph.miss(seen, "all results before it");
        }
        convs.push(conv);
    }
    convs.push(last);
    Ok((convs, begin))
}

impl Graph {
    /// The picture whose pixels became channels.
    fn unshuffled(&self, at: Id) -> Found<Id> {
        let expected = "unshuffled pixels";
        if let Ok(x) = self.unary(at, |op| matches!(op, Op::PixelUnshuffle(2 | 4)), expected) {
            return Ok(x);
        }
        // [N, C, H/r, r, W/r, r] → [N, C, r, r, H/r, W/r]
        let x = self.unary(at, |op| matches!(op, Op::Reshape(_)), expected)?;
        let swap = |op: &Op| matches!(op, Op::Transpose(order) if *order == [0, 1, 3, 5, 2, 4]);
        let x = self.unary(x, swap, expected)?;
        self.unary(x, |op| matches!(op, Op::Reshape(_)), expected)
    }
}
