//! `max_pool2d`: largest values of windows.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[h,w] = max_{u,v} x[h·stride - padding + u, w·stride - padding + v]`, places outside of
/// `x` not counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MaxPool2d {
    /// Side of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Rows and columns around the input; at most half of the window.
    pub padding: usize,
}

impl Operation for MaxPool2d {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let Self { kernel, stride, padding } = *self;
        if kernel == 0 || stride == 0 || 2 * padding > kernel {
            return Err(format!("a window of {kernel} with stride {stride}, padding {padding}"));
        }
        let size = |n: usize| {
            (n + 2 * padding)
                .checked_sub(kernel)
                .map(|free| free / stride + 1)
                .ok_or_else(|| format!("a window of {kernel} does not fit an input of {n}"))
        };
        Ok(inputs[0].with_size(size(inputs[0].h)?, size(inputs[0].w)?))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
