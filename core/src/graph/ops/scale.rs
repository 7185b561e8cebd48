//! `scale`: one factor for all.

use super::{Arity, Operation, Part, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `factor · x`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale(pub f32);

impl Operation for Scale {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0])
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::Gain(self.0))
    }
}
