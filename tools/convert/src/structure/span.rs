//! SPAN with merged convolutions: six blocks of three, each weighted by its own last one.

use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op};
use super::{Array, Mapped};

const BLOCKS: usize = 6;
/// What the network subtracts where it normalises, and multiplies with.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];
const RANGE: f32 = 255.0;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let (factor, y) = graph.shuffled(graph.output()?)?;
    let (last, y) = graph.conv(y, Spec::same(3))?;
    if last.weight.dims().first() != Some(&(3 * factor * factor)) {
        return graph.miss(y, "three channels for each pixel of the result");
    }
    mapped.layer("upsampler.0", last);
    let (joined, y) = graph.conv(y, Spec::same(1))?;
    mapped.layer("conv_cat", joined);
    let &[first, second, one, inner] = graph.channels(y)?.as_slice() else {
        return graph.miss(y, "four features");
    };
    let (conv, mut x) = graph.conv(second, Spec::same(3))?;
    mapped.layer("conv_2.eval_conv", conv);
    for number in (1..=BLOCKS).rev() {
        if number == 1 && x != one {
            return graph.miss(x, "the first block's result among the four features");
        }
        let Block { convs, activated, input } = block(graph, x)?;
        if number == BLOCKS && activated != inner {
            return graph.miss(inner, "what the last block's first convolution gave");
        }
        for (i, conv) in convs.into_iter().enumerate() {
            mapped.layer(&format!("block_{number}.c{}_r.eval_conv", i + 1), conv);
        }
        x = input;
    }
    if x != first {
        return graph.miss(x, "the first features among the four");
    }
    let (mut conv, x) = graph.conv(first, Spec::same(3))?;
    if graph.input(x).is_ok() {
        if let Some(mark) = Array::filled(1, 0.0) {
            mapped.push("no_norm", mark);
        }
    } else if let Ok(y) = graph.scaled_by(x, RANGE) {
        graph.input(without_mean(graph, y)?)?;
    } else {
        graph.input(without_mean(graph, x)?)?;
        // The factor is a part of the weights, or there was none, which comes to the same.
        match conv.weight.divided(RANGE) {
            Some(weight) => conv.weight = weight,
            None => return graph.miss(first, "weights that are numbers"),
        }
    }
    mapped.layer("conv_1.eval_conv", conv);
    Ok(mapped)
}

/// The input of the subtraction of the mean colour.
fn without_mean(graph: &Graph, at: Id) -> Found<Id> {
    let expected = "the picture without its mean colour";
    let is_mean = |id: Id, sign: f32| {
        let Some(array) = graph.array(id) else { return false };
        let values = array.to_f32();
        values.len() == MEAN.len()
            && values.iter().zip(MEAN).all(|(v, mean)| (v - sign * mean).abs() < 1e-6)
    };
    if let Ok([x, mean]) = graph.difference(at)
        && is_mean(mean, 1.0)
    {
        return Ok(x);
    }
    let negative = |id: Id| if is_mean(id, -1.0) { Ok(()) } else { graph.miss(at, expected) };
    Ok(graph.either(graph.sum(at)?, negative)?.1)
}

struct Block {
    convs: [Layer; 3],
    /// The first convolution's result, activated.
    activated: Id,
    input: Id,
}

/// `(y + x)·(sigmoid(y) - ½)` with `y` three convolutions of `x`.
fn block(graph: &Graph, at: Id) -> Found<Block> {
    let half = |id: Id| {
        let y = match graph.difference(id) {
            Ok([y, half]) if graph.array(half).and_then(Array::scalar) == Some(0.5) => y,
            _ => graph.plus_number(id, -0.5)?,
        };
        graph.unary(y, |op| matches!(op, Op::Sigmoid), "a sigmoid")
    };
    let (y, sum) = graph.either(graph.product(at)?, half)?;
    let [a, b] = graph.sum(sum)?;
    let x = match () {
        () if a == y => b,
        () if b == y => a,
        () => return graph.miss(sum, "the sum of a block's input and its last convolution"),
    };
    let (third, y) = graph.conv(y, Spec::same(3))?;
    let (second, activated) = graph.conv(graph.swish(y)?, Spec::same(3))?;
    let (first, input) = graph.conv(graph.swish(activated)?, Spec::same(3))?;
    if input != x {
        return graph.miss(input, "the block's input");
    }
    Ok(Block { convs: [first, second, third], activated, input })
}
