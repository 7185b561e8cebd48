//! `conv2d`: convolution.

use super::{Arity, Cost, Operation, Padding, Planning, check_groups, weight4};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// A convolution (cross-correlation, zero padding) without bias, with weight `[O, I/groups, kh, kw]`.
///
/// `y[n,o,h,w] = Σ_{i,u,v} W[o,i,u,v] · x[n, g(o)·I/groups + i, s·h + u·d - p, s·w + v·d - p]`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conv2d {
    /// `[O, I/groups, kh, kw]`
    pub weight: ParamId,
    /// Step between outputs, in input pixels.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Step between kernel taps, in input pixels.
    pub dilation: usize,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
}

impl Conv2d {
    /// Stride 1, dilation 1, one group, and the padding that keeps the size of an odd kernel.
    pub const fn same(weight: ParamId, kernel: usize) -> Self {
        Self {
            weight,
            stride: 1,
            padding: Padding::all((kernel / 2) as i32),
            dilation: 1,
            groups: 1,
        }
    }

    /// The shape that it makes of `x`.
    pub(super) fn convolved(&self, graph: &Graph, x: Shape) -> Result<Shape, String> {
        let [o, _, kh, kw] = weight4(graph, self.weight)?;
        check_groups(graph, self.weight, x.c, self.groups)?;
        let Padding { top, bottom, left, right } = self.padding;
        let negative = [top, bottom, left, right].iter().any(|&p| p < 0);
        if self.stride == 0 || self.dilation == 0 || negative {
            return Err("stride and dilation start at 1, padding at 0".to_owned());
        }
        let size = |n: usize, padding: i32, k: usize| {
            (n + padding as usize)
                .checked_sub(self.dilation * (k - 1) + 1)
                .map(|free| free / self.stride + 1)
                .ok_or_else(|| format!("a kernel of {k} does not fit an input of {n}"))
        };
        Ok(Shape::new(x.n, o, size(x.h, top + bottom, kh)?, size(x.w, left + right, kw)?))
    }

    /// The shape that it makes of `x` when it is transposed.
    pub(super) fn transposed(&self, graph: &Graph, x: Shape) -> Result<Shape, String> {
        let [o, _, kh, kw] = weight4(graph, self.weight)?;
        check_groups(graph, self.weight, x.c, 1)?;
        if self.dilation != 1 {
            return Err("transposed convolutions have dilation 1".to_owned());
        }
        let Padding { top, bottom, left, right } = self.padding;
        let size = |n: usize, crop: i32, k: usize| {
            ((n - 1) * self.stride + k)
                .checked_sub(crop as usize)
                .ok_or_else(|| format!("padding {crop} crops everything"))
        };
        Ok(Shape::new(x.n, o, size(x.h, top + bottom, kh)?, size(x.w, left + right, kw)?))
    }
}

impl Operation for Conv2d {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        self.convolved(graph, inputs[0])
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.weight);
    }

    fn multiply_adds(&self, graph: &Graph, _: &[Shape], output: Shape) -> usize {
        output.n * output.plane() * graph.param(self.weight).len()
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Heavy)
    }
}
