//! SRVGGNetCompact: plain convolutions, pixel shuffle, plus the enlarged input.

use super::find::{Found, Layer, Spec};
use super::graph::{Graph, Id, Op, Resize};
use super::{Array, Mapped};

/// The slope that the engine takes where a file has no slopes.
const SLOPE: f32 = 0.1;

pub(super) fn find(graph: &Graph) -> Found<Mapped> {
    let mut mapped = Mapped::default();
    let mut end = graph.output()?;
    if let Ok((Op::Resize { factor: Some([by, _]), .. }, &[x])) = graph.step(end, "a sum") {
        mapped.notes.push(format!(
            "the file's last step, which resizes the result by {by}: the network itself enlarges more"
        ));
        end = x;
    }
    let (factor, mut x, picture) = shuffled_sum(graph, end)?;
    graph.input(picture)?;
    // From the last layer to the first.
    let mut convs = Vec::new();
    let mut slopes = Vec::new();
    loop {
        let (conv, before) = graph.conv(x, Spec::same(3))?;
        let channels = conv.weight.dims().get(1).copied().unwrap_or_default();
        convs.push(conv);
        if before == picture {
            break;
        }
        let (slope, below) = activation(graph, before, channels)?;
        slopes.push(slope);
        x = below;
    }
    let rows = convs.first().and_then(|conv: &Layer| conv.weight.dims().first().copied());
    if rows != Some(3 * factor * factor) || convs.len() < 3 {
        return graph.miss(end, "three channels for each pixel of the result");
    }
    for (i, conv) in convs.into_iter().rev().enumerate() {
        mapped.layer(&format!("body.{}", 2 * i), conv);
    }
    for (i, slope) in slopes.into_iter().rev().enumerate() {
        if let Some(slope) = slope {
            mapped.push(format!("body.{}.weight", 2 * i + 1), slope);
        }
    }
    Ok(mapped)
}

/// The factor, what is shuffled, and the picture that is enlarged and added.
fn shuffled_sum(graph: &Graph, at: Id) -> Found<(usize, Id, Id)> {
    let ((factor, x), base) = graph.either(graph.sum(at)?, |id| graph.shuffled(id))?;
    let picture = graph.resized(base, Resize::Nearest, factor as f32)?;
    Ok((factor, x, picture))
}

/// The slopes, `None` for the slope that needs no tensor, and what they were applied to.
fn activation(graph: &Graph, at: Id, channels: usize) -> Found<(Option<Array>, Id)> {
    match graph.step(at, "an activation")? {
        (Op::Prelu, &[x, slopes]) => {
            let Some(slopes) = graph.array(slopes) else {
                return graph.miss(at, "a PReLU with constant slopes");
            };
            let slopes = match slopes.scalar() {
                Some(one) if channels != 1 => Array::filled(channels, one),
                _ => slopes.reshaped(&[channels]),
            };
            match slopes {
                Some(slopes) => Ok((Some(slopes), x)),
                None => graph.miss(at, format!("a PReLU of {channels} slopes")),
            }
        }
        // Any other slope is written as slopes: the engine could not tell it.
        (&Op::Leaky(slope), &[x]) if slope == SLOPE => Ok((None, x)),
        (&Op::Leaky(slope), &[x]) => match Array::filled(channels, slope) {
            Some(slopes) => Ok((Some(slopes), x)),
            None => graph.miss(at, "an activation"),
        },
        _ => graph.miss(at, "a PReLU or a leaky ReLU"),
    }
}

impl Graph {
    /// The factor, and what has its pixels in its channels.
    pub(super) fn shuffled(&self, at: Id) -> Found<(usize, Id)> {
        let expected = "shuffled pixels";
        if let (&Op::PixelShuffle(factor), &[x]) = self.step(at, expected)? {
            return Ok((factor, x));
        }
        // [N, C, r, r, H, W] → [N, C, H, r, W, r]
        let x = self.unary(at, |op| matches!(op, Op::Reshape(_)), expected)?;
        let swap = |op: &Op| matches!(op, Op::Transpose(order) if *order == [0, 1, 4, 2, 5, 3]);
        let x = self.unary(x, swap, expected)?;
        match self.step(x, expected)? {
            (Op::Reshape(dims), &[x]) => match *dims.as_slice() {
                [_, _, r, again, _, _] if r == again && (1..=8).contains(&r) => Ok((r as usize, x)),
                _ => self.miss(x, expected),
            },
            _ => self.miss(x, expected),
        }
    }
}
