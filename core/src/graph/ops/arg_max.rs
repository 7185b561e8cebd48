//! `arg_max`: the largest channel of each pixel.

use super::{Arity, Cost, Operation, Planning, Stored};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[n,0,h,w]` is the channel of the largest `x[n,c,h,w]`, the first of equal ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ArgMax;

impl Operation for ArgMax {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0].with_channels(1))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning { stored: Stored::AsF32, ..Planning::step(Cost::Light) }
    }
}
