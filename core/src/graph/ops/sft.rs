//! `sft`: spatial feature transform.

use super::{Arity, Operation, Part, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Inputs `x`, `scale`, `shift`: channels from `first_channel` on become `x · scale + shift`, those
/// before stay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sft {
    /// First channel that is transformed; `scale` and `shift` have the channels from there.
    pub first_channel: usize,
}

impl Operation for Sft {
    const ARITY: Arity = Arity::Exactly(3);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, first) = (inputs[0], self.first_channel);
        for &condition in &inputs[1..] {
            if first > x.c || condition != x.with_channels(x.c - first) {
                return Err(format!("condition is {condition} for {x} from {first}"));
            }
        }
        Ok(x)
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::Sft(*self))
    }
}
