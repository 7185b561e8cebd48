//! `layer_norm`: pixels whose channels have mean 0 and variance 1.

use super::{Arity, Cost, Operation, Planning, check_vector};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[n,c,h,w] = weight[c] · (x[n,c,h,w] - mean[n,h,w]) / √(variance[n,h,w] + epsilon)` over all
/// channels of one pixel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LayerNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// `[C]`
    pub weight: ParamId,
}

impl Operation for LayerNorm {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        check_vector(graph, self.weight, inputs[0].c)?;
        Ok(inputs[0])
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.weight);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
