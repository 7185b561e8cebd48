//! `ada_in`: adaptive instance norm.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Inputs `x` and `style`: `x` with the mean and the deviation that `style` has per sample and
/// channel: `(x - mean_x) · deviation_style / deviation_x + mean_style` with
/// `deviation = √(Σ (v - mean)² / (H·W - 1) + epsilon)`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdaIn {
    /// Added to both variances.
    pub epsilon: f32,
}

impl Operation for AdaIn {
    const ARITY: Arity = Arity::Exactly(2);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, style) = (inputs[0], inputs[1]);
        if x.plane() < 2 || style.plane() < 2 || (style.n, style.c) != (x.n, x.c) {
            return Err(format!("style is {style} for {x}: each channel has a variance"));
        }
        Ok(x)
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
