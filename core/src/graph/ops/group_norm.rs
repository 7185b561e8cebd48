//! `group_norm`: groups of channels of mean 0 and variance 1.

use super::{Arity, Cost, Operation, Planning, check_vector};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[n,c,h,w] = weight[c] · (x[n,c,h,w] - mean[n,g]) / √(variance[n,g] + epsilon)` over the
/// channels `c` of group `g` and all pixels; `weight` is `[C]`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GroupNorm {
    /// Groups of consecutive channels, all of one size.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// `[C]`
    pub weight: ParamId,
}

impl Operation for GroupNorm {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, groups) = (inputs[0], self.groups);
        check_vector(graph, self.weight, x.c)?;
        if groups == 0 || !x.c.is_multiple_of(groups) {
            return Err(format!("{} channels in {groups} groups", x.c));
        }
        Ok(x)
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.weight);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        // The moments are one more.
        Planning { buffers: 4, ..Planning::step(Cost::Light) }
    }
}
