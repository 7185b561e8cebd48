//! `embedding`: rows of a table.

use super::{Arity, Cost, Operation, Planning, misfit};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[n,c,h,w] = table[x[n,0,h,w], c]` with a `[K, C]` parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Embedding(pub ParamId);

impl Operation for Embedding {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        match *graph.param(self.0).dims {
            [k, c] if k > 0 && inputs[0].c == 1 => Ok(inputs[0].with_channels(c)),
            _ => Err(misfit(graph, self.0, "[K, C], and indices of one channel")),
        }
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.0);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning { reads_f32: true, ..Planning::step(Cost::Light) }
    }
}
