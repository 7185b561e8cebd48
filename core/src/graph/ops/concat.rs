//! `concat`: tensors side by side.

use super::{Arity, Operation, Planning, Stored};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Along channels, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Concat;

impl Operation for Concat {
    const ARITY: Arity = Arity::Any;

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let x = inputs[0];
        if let Some(y) = inputs.iter().find(|y| y.with_channels(x.c) != x) {
            return Err(format!("concatenates {x} and {y}"));
        }
        Ok(x.with_channels(inputs.iter().map(|y| y.c).sum()))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::view(Stored::LikeInput)
    }
}
