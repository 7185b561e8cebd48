//! Shape inference: what a node yields, or why it cannot.

use super::{Activation, Conv2d, Graph, NodeId, Op, Padding, ParamId};
use crate::tensor::Shape;

/// A node whose inputs or parameters do not fit together.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{node}: {what}")]
pub struct ShapeError {
    /// The node.
    pub node: String,
    /// What does not fit.
    pub what: String,
}

/// The largest number of elements that a tensor may have (offsets in kernels are 32 bits wide).
const MAX_ELEMENTS: usize = 1 << 31;

pub(super) fn infer(graph: &Graph, op: &Op, inputs: &[NodeId]) -> Result<Shape, String> {
    let arity = match op {
        Op::Input | Op::Constant { .. } => 0,
        Op::ModulatedConv2d { .. } | Op::Add | Op::ScaleChannels => 2,
        Op::Sft { .. } => 3,
        Op::Concat => inputs.len().max(1),
        _ => 1,
    };
    if inputs.len() != arity {
        return Err(format!("takes {arity} inputs, got {}", inputs.len()));
    }
    let x = inputs.first().map_or(Shape::new(1, 1, 1, 1), |&id| graph.shape(id));
    let shape = match op {
        Op::Input => return Err("inputs are added by name".to_owned()),
        Op::Constant { value, batch } => match *graph.param(*value).dims {
            [1, c, h, w] => Shape::new(*batch, c, h, w),
            _ => return Err(misfit(graph, *value, "[1, C, H, W]")),
        },
        Op::Conv2d(conv) => conv2d(graph, conv, x)?,
        Op::ModulatedConv2d { conv, transposed, .. } => {
            let style = graph.shape(inputs[1]);
            if conv.groups != 1 {
                return Err("modulated convolutions have one group".to_owned());
            }
            if style != Shape::vector(x.n, x.c) {
                return Err(format!("style is {style}, expected [{}, {}, 1, 1]", x.n, x.c));
            }
            if *transposed { conv_transpose2d(graph, conv, x)? } else { conv2d(graph, conv, x)? }
        }
        Op::MultiPathConv(paths) => {
            let mut channels = 0;
            for path in paths {
                let [o, i, kh, kw] = weight4(graph, path.weight)?;
                if kh != kw || kh % 2 == 0 || path.dilation == 0 {
                    return Err(misfit(graph, path.weight, "[C, I, k, k] with odd k"));
                }
                if path.first_channel + path.channels > x.c {
                    return Err(format!(
                        "a path sees channels {}..{} of {}",
                        path.first_channel,
                        path.first_channel + path.channels,
                        x.c
                    ));
                }
                grouped(graph, path.weight, [o, i], path.channels, path.groups)?;
                channels += o;
            }
            x.with_channels(channels)
        }
        Op::Linear(weight) => match *graph.param(*weight).dims {
            [o, i] if i == x.sample() => Shape::vector(x.n, o),
            _ => return Err(misfit(graph, *weight, &format!("[O, {}]", x.sample()))),
        },
        Op::PixelNorm => {
            if x.plane() != 1 {
                return Err(format!("input is {x}, expected a vector"));
            }
            x
        }
        Op::Upfirdn2d { kernel, up, down, padding } => {
            let [kh, kw] = *graph.param(*kernel).dims else {
                return Err(misfit(graph, *kernel, "[kh, kw]"));
            };
            if *up == 0 || *down == 0 {
                return Err("factors start at 1".to_owned());
            }
            let size = |n: usize, before: i32, after: i32, k: usize| {
                let full = (n * up) as i64 + i64::from(before) + i64::from(after) - k as i64;
                usize::try_from(full).map(|full| full / down + 1).map_err(|_| {
                    format!("a {k}-tap filter does not fit {n} samples with that padding")
                })
            };
            x.with_size(
                size(x.h, padding.top, padding.bottom, kh)?,
                size(x.w, padding.left, padding.right, kw)?,
            )
        }
        Op::Resize { height, width, .. } => x.with_size(*height, *width),
        Op::PixelShuffle(r) => {
            if *r == 0 || !x.c.is_multiple_of(r * r) {
                return Err(format!("{} channels are no multiple of {r}²", x.c));
            }
            Shape::new(x.n, x.c / (r * r), x.h * r, x.w * r)
        }
        Op::PixelUnshuffle(r) => {
            if *r == 0 || !x.h.is_multiple_of(*r) || !x.w.is_multiple_of(*r) {
                return Err(format!("{} × {} is no multiple of {r}", x.h, x.w));
            }
            Shape::new(x.n, x.c * r * r, x.h / r, x.w / r)
        }
        Op::Activation(Activation::Prelu(slope)) => {
            check_vector(graph, Some(*slope), x.c)?;
            x
        }
        Op::Bias(bias) => {
            check_vector(graph, Some(*bias), x.c)?;
            x
        }
        Op::Noise { noise, .. } => {
            if graph.param(*noise).dims != [1, 1, x.h, x.w] {
                return Err(misfit(graph, *noise, &format!("[1, 1, {}, {}]", x.h, x.w)));
            }
            x
        }
        Op::Activation(_) | Op::Scale(_) => x,
        Op::Add => {
            let y = graph.shape(inputs[1]);
            if x != y {
                return Err(format!("adds {x} and {y}"));
            }
            x
        }
        Op::Sft { first_channel } => {
            for &id in &inputs[1..] {
                let condition = graph.shape(id);
                if *first_channel > x.c || condition != x.with_channels(x.c - first_channel) {
                    return Err(format!("condition is {condition} for {x} from {first_channel}"));
                }
            }
            x
        }
        Op::Concat => {
            let mut channels = 0;
            for &id in inputs {
                let y = graph.shape(id);
                if y.with_channels(x.c) != x {
                    return Err(format!("concatenates {x} and {y}"));
                }
                channels += y.c;
            }
            x.with_channels(channels)
        }
        Op::Slice { start, end } => {
            if start >= end || *end > x.c {
                return Err(format!("channels {start}..{end} of {}", x.c));
            }
            x.with_channels(end - start)
        }
        Op::MaxPool2d { kernel, stride, padding } => {
            if *kernel == 0 || *stride == 0 || 2 * padding > *kernel {
                return Err(format!(
                    "a window of {kernel} with stride {stride}, padding {padding}"
                ));
            }
            let size = |n: usize| {
                (n + 2 * padding)
                    .checked_sub(*kernel)
                    .map(|free| free / stride + 1)
                    .ok_or_else(|| format!("a window of {kernel} does not fit an input of {n}"))
            };
            x.with_size(size(x.h)?, size(x.w)?)
        }
        Op::AdaptiveAvgPool2d { height, width } => x.with_size(*height, *width),
        Op::ReflectPad(Padding { top, bottom, left, right }) => {
            let size = |n: usize, before: i32, after: i32| {
                let [before, after] = [before, after].map(|p| usize::try_from(p).ok());
                (before.zip(after))
                    .filter(|&(before, after)| before < n && after < n)
                    .map(|(before, after)| before + n + after)
                    .ok_or_else(|| format!("cannot mirror borders of that size in {n} samples"))
            };
            x.with_size(size(x.h, *top, *bottom)?, size(x.w, *left, *right)?)
        }
        Op::ScaleChannels => {
            let factor = graph.shape(inputs[1]);
            if factor != Shape::vector(x.n, x.c) {
                return Err(format!("factors are {factor}, expected [{}, {}, 1, 1]", x.n, x.c));
            }
            x
        }
    };
    let elements = [shape.n, shape.c, shape.h, shape.w]
        .iter()
        .try_fold(1usize, |a, &d| a.checked_mul(d))
        .filter(|&n| n < MAX_ELEMENTS);
    match elements {
        None => Err(format!("{shape} is too large")),
        Some(0) => Err(format!("{shape} is empty")),
        Some(_) => Ok(shape),
    }
}

fn conv2d(graph: &Graph, conv: &Conv2d, x: Shape) -> Result<Shape, String> {
    let [o, i, kh, kw] = weight4(graph, conv.weight)?;
    grouped(graph, conv.weight, [o, i], x.c, conv.groups)?;
    let Padding { top, bottom, left, right } = conv.padding;
    if conv.stride == 0 || conv.dilation == 0 || [top, bottom, left, right].iter().any(|&p| p < 0) {
        return Err("stride and dilation start at 1, padding at 0".to_owned());
    }
    let size = |n: usize, padding: i32, k: usize| {
        (n + padding as usize)
            .checked_sub(conv.dilation * (k - 1) + 1)
            .map(|free| free / conv.stride + 1)
            .ok_or_else(|| format!("a kernel of {k} does not fit an input of {n}"))
    };
    Ok(Shape::new(x.n, o, size(x.h, top + bottom, kh)?, size(x.w, left + right, kw)?))
}

fn conv_transpose2d(graph: &Graph, conv: &Conv2d, x: Shape) -> Result<Shape, String> {
    let [o, i, kh, kw] = weight4(graph, conv.weight)?;
    grouped(graph, conv.weight, [o, i], x.c, 1)?;
    if conv.dilation != 1 {
        return Err("transposed convolutions have dilation 1".to_owned());
    }
    let Padding { top, bottom, left, right } = conv.padding;
    let size = |n: usize, crop: i32, k: usize| {
        ((n - 1) * conv.stride + k)
            .checked_sub(crop as usize)
            .ok_or_else(|| format!("padding {crop} crops everything"))
    };
    Ok(Shape::new(x.n, o, size(x.h, top + bottom, kh)?, size(x.w, left + right, kw)?))
}

fn weight4(graph: &Graph, id: ParamId) -> Result<[usize; 4], String> {
    match *graph.param(id).dims {
        [o, i, kh, kw] if o * i * kh * kw > 0 => Ok([o, i, kh, kw]),
        _ => Err(misfit(graph, id, "[O, I, kh, kw]")),
    }
}

fn grouped(
    graph: &Graph,
    weight: ParamId,
    [o, i]: [usize; 2],
    channels: usize,
    groups: usize,
) -> Result<(), String> {
    if groups == 0 || o % groups != 0 || i * groups != channels {
        let expected = format!("{channels} input channels in {groups} groups");
        return Err(misfit(graph, weight, &expected));
    }
    Ok(())
}

fn check_vector(graph: &Graph, id: Option<ParamId>, len: usize) -> Result<(), String> {
    match id {
        Some(id) if graph.param(id).len() != len => Err(misfit(graph, id, &format!("[{len}]"))),
        _ => Ok(()),
    }
}

fn misfit(graph: &Graph, id: ParamId, expected: &str) -> String {
    let param = graph.param(id);
    format!("tensor {} is {:?}, expected {expected}", param.name, param.dims)
}
