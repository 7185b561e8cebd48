//! `linear`: matrix times vectors.

use super::{Arity, Cost, Operation, Planning, Stored, misfit};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[n,o] = Σ_i W[o,i] · x[n,i]` with weight `[O, I]`; `x` is flattened (C, H, W).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Linear(pub ParamId);

impl Operation for Linear {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let x = inputs[0];
        match *graph.param(self.0).dims {
            [o, i] if i == x.sample() => Ok(Shape::vector(x.n, o)),
            _ => Err(misfit(graph, self.0, &format!("[O, {}]", x.sample()))),
        }
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.0);
    }

    fn multiply_adds(&self, graph: &Graph, _: &[Shape], output: Shape) -> usize {
        output.n * graph.param(self.0).len()
    }

    fn planning(&self) -> Planning {
        Planning { stored: Stored::AsF32, reads_f32: true, ..Planning::step(Cost::Heavy) }
    }
}
