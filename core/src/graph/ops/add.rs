//! `add`: the sum of two tensors.

use super::{Arity, Operation, Part, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `x + y`, of the same shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Add;

impl Operation for Add {
    const ARITY: Arity = Arity::Exactly(2);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, y) = (inputs[0], inputs[1]);
        if x == y { Ok(x) } else { Err(format!("adds {x} and {y}")) }
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::Residual)
    }
}
