//! `bias`: a constant per channel.

use super::{Arity, Operation, Part, Planning, check_vector};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `x + b[c]` with a `[C]` parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bias(pub ParamId);

impl Operation for Bias {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        check_vector(graph, self.0, inputs[0].c)?;
        Ok(inputs[0])
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.0);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::Bias(self.0))
    }
}
