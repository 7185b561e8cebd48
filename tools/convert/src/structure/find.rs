//! Recognises what a result was made of, from the last step to the first. Names play no part: a step
//! is known by what it computes, and its inputs by the roles that they have in it.

use super::array::Array;
use super::graph::{Axis, Graph, Id, Op, Resize, Window};

/// Where a network ceases to be the one that was looked for.
#[derive(Clone, Debug)]
pub(crate) struct Mismatch {
    pub at: Id,
    /// The expected part, in words.
    pub expected: String,
}

pub(crate) type Found<T> = Result<T, Mismatch>;

/// Weight and bias of a convolution or a linear layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub weight: Array,
    pub bias: Option<Array>,
}

impl Layer {
    /// The layer that gives what this one gives, before it was multiplied with `factor`.
    pub fn before_scaling(&self, factor: f32) -> Option<Self> {
        let bias = match &self.bias {
            Some(bias) => Some(bias.divided(factor)?),
            None => None,
        };
        Some(Self { weight: self.weight.divided(factor)?, bias })
    }
}

/// A convolution with one kernel size for both axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub kernel: usize,
    pub stride: usize,
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    /// Whether each channel has its own filter.
    pub depthwise: bool,
}

impl Spec {
    /// Stride 1, as much padding as keeps the size.
    pub fn same(kernel: usize) -> Self {
        Self { kernel, stride: 1, padding: [kernel / 2; 4], depthwise: false }
    }

    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub fn padding(self, padding: [usize; 4]) -> Self {
        Self { padding, ..self }
    }

    pub fn depthwise(self) -> Self {
        Self { depthwise: true, ..self }
    }
}

/// Whether two numbers are the same but for the rounding of a decimal text.
pub(crate) fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1e-6)
}

impl Graph {
    /// That `at` is not what should be there.
    pub fn miss<T>(&self, at: Id, expected: impl Into<String>) -> Found<T> {
        Err(Mismatch { at, expected: expected.into() })
    }

    /// The operation and the inputs of a layer.
    pub fn step(&self, at: Id, expected: &str) -> Found<(&Op, &[Id])> {
        match self.node(at) {
            Some(node) => Ok((&node.op, &node.inputs)),
            None => self.miss(at, expected),
        }
    }

    /// The only output.
    pub fn output(&self) -> Found<Id> {
        match *self.outputs.as_slice() {
            [output] => Ok(output),
            [first, ..] => self.miss(first, "the only output"),
            [] => self.miss(0, "an output"),
        }
    }

    /// That `at` is an input of the network.
    pub fn input(&self, at: Id) -> Found<()> {
        match self.step(at, "the network's input")? {
            (Op::Input, _) => Ok(()),
            _ => self.miss(at, "the network's input"),
        }
    }

    /// The weights of a convolution, and its input.
    pub fn conv(&self, at: Id, spec: Spec) -> Found<(Layer, Id)> {
        let kernel = spec.kernel;
        let expected = || match spec {
            Spec { depthwise: true, .. } => format!("a depthwise {kernel}×{kernel} convolution"),
            Spec { stride: 1, .. } => format!("a {kernel}×{kernel} convolution"),
            Spec { stride, .. } => format!("a {kernel}×{kernel} convolution of stride {stride}"),
        };
        let (Op::Conv(window), &[x, weight, ref bias @ ..]) = self.step(at, "a convolution")?
        else {
            return self.miss(at, expected());
        };
        let Some(layer) = self.layer(weight, bias) else {
            return self.miss(at, format!("{} with constant weights", expected()));
        };
        let groups = match (spec.depthwise, layer.weight.dims()) {
            (true, &[out, 1, _, _]) => out,
            (false, _) => 1,
            _ => return self.miss(at, expected()),
        };
        let &[_, _, height, width] = layer.weight.dims() else {
            return self.miss(at, expected());
        };
        let wanted =
            Window { stride: [spec.stride; 2], padding: spec.padding, dilation: [1; 2], groups };
        if *window != wanted || [height, width] != [kernel; 2] {
            return self.miss(at, expected());
        }
        Ok((layer, x))
    }

    /// The weights of a linear layer, its bias added in the same step or the next.
    pub fn linear(&self, at: Id) -> Found<(Layer, Id)> {
        let expected = "a linear layer";
        match self.step(at, expected)? {
            (Op::Linear, &[x, weight, ref bias @ ..]) => match self.layer(weight, bias) {
                Some(Layer { weight, bias }) => {
                    let bias = bias.and_then(|bias| bias.reshaped(&[bias.numel()]));
                    Ok((Layer { weight, bias }, x))
                }
                None => self.miss(at, "a linear layer with constant weights"),
            },
            (Op::Add, _) => {
                let (bias, rest) = self.plus_constant(at)?;
                match self.linear(rest)? {
                    (Layer { weight, bias: None }, x) => {
                        let bias = bias.reshaped(&[bias.numel()]);
                        Ok((Layer { weight, bias }, x))
                    }
                    _ => self.miss(at, expected),
                }
            }
            _ => self.miss(at, expected),
        }
    }

    fn layer(&self, weight: Id, bias: &[Id]) -> Option<Layer> {
        let bias = match bias {
            [] => None,
            &[bias] => Some(self.array(bias)?.clone()),
            _ => return None,
        };
        Some(Layer { weight: self.array(weight)?.clone(), bias })
    }

    /// The input of a leaky ReLU of this slope.
    pub fn leaky(&self, at: Id, slope: f32) -> Found<Id> {
        match self.step(at, "an activation")? {
            (Op::Leaky(found), &[x]) if near(*found, slope) || *found == slope => Ok(x),
            _ if slope == 0.0 => self.miss(at, "a ReLU"),
            _ => self.miss(at, format!("a leaky ReLU of slope {slope}")),
        }
    }

    /// Both operands of an operation.
    fn pair(&self, at: Id, is: impl Fn(&Op) -> bool, expected: &str) -> Found<[Id; 2]> {
        match self.step(at, expected)? {
            (op, &[a, b]) if is(op) => Ok([a, b]),
            _ => self.miss(at, expected),
        }
    }

    /// Both summands.
    pub fn sum(&self, at: Id) -> Found<[Id; 2]> {
        self.pair(at, |op| matches!(op, Op::Add), "a sum")
    }

    /// Both factors.
    pub fn product(&self, at: Id) -> Found<[Id; 2]> {
        self.pair(at, |op| matches!(op, Op::Mul), "a product")
    }

    /// Dividend and divisor.
    pub fn quotient(&self, at: Id) -> Found<[Id; 2]> {
        self.pair(at, |op| matches!(op, Op::Div), "a quotient")
    }

    /// Minuend and subtrahend.
    pub fn difference(&self, at: Id) -> Found<[Id; 2]> {
        self.pair(at, |op| matches!(op, Op::Sub), "a difference")
    }

    /// Both inputs of a product of matrices.
    pub fn matmul(&self, at: Id) -> Found<[Id; 2]> {
        self.pair(at, |op| matches!(op, Op::MatMul), "a product of matrices")
    }

    /// The result of `find` for one of the two, and the other one.
    pub fn either<T>(&self, [a, b]: [Id; 2], find: impl Fn(Id) -> Found<T>) -> Found<(T, Id)> {
        match find(a) {
            Ok(found) => Ok((found, b)),
            Err(first) => match find(b) {
                Ok(found) => Ok((found, a)),
                // The one that was followed further says more.
                Err(second) => Err(if first.at < second.at { first } else { second }),
            },
        }
    }

    /// The constant summand, and the other.
    pub fn plus_constant(&self, at: Id) -> Found<(Array, Id)> {
        self.either(self.sum(at)?, |id| self.found_array(id))
    }

    /// The constant factor, and the other.
    pub fn times_constant(&self, at: Id) -> Found<(Array, Id)> {
        self.either(self.product(at)?, |id| self.found_array(id))
    }

    fn found_array(&self, id: Id) -> Found<Array> {
        match self.array(id) {
            Some(array) => Ok(array.clone()),
            None => self.miss(id, "a constant"),
        }
    }

    /// A number that a result is multiplied with, or divided by, and the result.
    pub fn scaled(&self, at: Id) -> Found<(f32, Id)> {
        let number = |id| match self.array(id).and_then(Array::scalar) {
            Some(number) => Ok(number),
            None => self.miss(id, "a number"),
        };
        if let Ok([x, divisor]) = self.quotient(at) {
            return Ok((1.0 / number(divisor)?, x));
        }
        self.either(self.product(at)?, number)
    }

    /// The input of a product with `factor`.
    pub fn scaled_by(&self, at: Id, factor: f32) -> Found<Id> {
        match self.scaled(at) {
            Ok((found, x)) if near(found, factor) => Ok(x),
            _ => self.miss(at, format!("a product with {factor}")),
        }
    }

    /// The input of a sum with a number.
    pub fn plus_number(&self, at: Id, number: f32) -> Found<Id> {
        match self.plus_constant(at) {
            Ok((found, x)) if found.scalar().is_some_and(|found| near(found, number)) => Ok(x),
            _ => self.miss(at, format!("a sum with {number}")),
        }
    }

    /// The inputs of a concatenation along the channels, concatenations in it resolved.
    pub fn channels(&self, at: Id) -> Found<Vec<Id>> {
        let mut parts = Vec::new();
        let mut open = vec![at];
        while let Some(id) = open.pop() {
            match self.step(id, "a concatenation")? {
                (Op::Concat(1), inputs) => open.extend(inputs.iter().rev()),
                _ if id == at => return self.miss(at, "a concatenation of channels"),
                _ => parts.push(id),
            }
            // Concatenations of concatenations of the same may become very many.
            if parts.len() > 64 || open.len() > 64 {
                return self.miss(at, "a concatenation of at most 64 parts");
            }
        }
        Ok(parts)
    }

    /// The input of a resize.
    pub fn resized(&self, at: Id, mode: Resize, factor: f32) -> Found<Id> {
        match self.step(at, "a resize")? {
            (Op::Resize { mode: found, factor: Some(by) }, &[x])
                if *found == mode && *by == [factor; 2] =>
            {
                Ok(x)
            }
            _ => self.miss(at, format!("a resize by {factor} ({mode:?})")),
        }
    }

    /// The input of an operation with one input, known by a test.
    pub fn unary(&self, at: Id, is: impl Fn(&Op) -> bool, expected: &str) -> Found<Id> {
        match self.step(at, expected)? {
            (op, &[x]) if is(op) => Ok(x),
            _ => self.miss(at, expected),
        }
    }

    /// The value before reshapes and transpositions, which keep all values.
    pub fn unshaped(&self, mut at: Id) -> Id {
        while let Some(node) = self.node(at) {
            match (&node.op, node.inputs.as_slice()) {
                (Op::Reshape(_) | Op::Transpose(_), &[x]) => at = x,
                _ => break,
            }
        }
        at
    }

    /// One part of a tensor that was split along `axis` into `of`.
    pub fn part(&self, at: Id, axis: Axis, index: usize, of: usize) -> Found<Id> {
        match self.step(at, "a part")? {
            (Op::Part { axis: a, index: i, of: n }, &[x]) if (*a, *i, *n) == (axis, index, of) => {
                Ok(x)
            }
            // Halves as runs: their length is the weights' to say.
            (Op::Run { axis: a, start }, &[x])
                if *a == axis && of == 2 && (*start == 0) == (index == 0) =>
            {
                Ok(x)
            }
            _ => self.miss(at, format!("part {index} of {of}")),
        }
    }
}
