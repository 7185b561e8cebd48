//! `adaptive_avg_pool2d`: means of windows that cover the input.

use super::{Arity, Cost, Operation, Planning, Stored};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[h,w] = mean(x[⌊h·H/H'⌋..⌈(h+1)·H/H'⌉, ⌊w·W/W'⌋..⌈(w+1)·W/W'⌉])`; to a single pixel it is
/// the mean of all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AdaptiveAvgPool2d {
    /// Rows of the output.
    pub height: usize,
    /// Columns of the output.
    pub width: usize,
}

impl Operation for AdaptiveAvgPool2d {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0].with_size(self.height, self.width))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning { stored: Stored::AsF32IfVector, ..Planning::step(Cost::Light) }
    }
}
