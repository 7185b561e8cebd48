//! `noise`: noise of a given strength.

use super::{Arity, Operation, Part, Planning, misfit};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `x + strength · noise[h,w]`, noise `[1, 1, H, W]` for every channel and sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Noise {
    /// `[1, 1, H, W]`
    pub noise: ParamId,
    /// One factor for all.
    pub strength: f32,
}

impl Operation for Noise {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let x = inputs[0];
        if graph.param(self.noise).dims != [1, 1, x.h, x.w] {
            return Err(misfit(graph, self.noise, &format!("[1, 1, {}, {}]", x.h, x.w)));
        }
        Ok(x)
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.noise);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::Noise(*self))
    }
}
