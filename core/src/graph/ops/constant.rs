//! `constant`: a parameter as an activation.

use super::{Arity, Cost, Operation, Planning, misfit};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// A `[1, C, H, W]` parameter, repeated over the batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Constant {
    /// `[1, C, H, W]`
    pub value: ParamId,
    /// Samples.
    pub batch: usize,
}

impl Operation for Constant {
    const ARITY: Arity = Arity::Exactly(0);

    fn infer(&self, graph: &Graph, _: &[Shape]) -> Result<Shape, String> {
        match *graph.param(self.value).dims {
            [1, c, h, w] => Ok(Shape::new(self.batch, c, h, w)),
            _ => Err(misfit(graph, self.value, "[1, C, H, W]")),
        }
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.value);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning { reads_f32: true, ..Planning::step(Cost::Light) }
    }
}
