//! `pixel_norm`: vectors of mean square 1.

use super::{Arity, Cost, Operation, Planning, Stored};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `x · rsqrt(mean_c(x²) + 1e-8)` for vectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PixelNorm;

impl Operation for PixelNorm {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        if inputs[0].plane() != 1 {
            return Err(format!("input is {}, expected a vector", inputs[0]));
        }
        Ok(inputs[0])
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning { stored: Stored::AsF32, reads_f32: true, ..Planning::step(Cost::Light) }
    }
}
