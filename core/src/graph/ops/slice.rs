//! `slice`: some channels.

use super::{Arity, Operation, Planning, Stored};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Channels `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    /// First channel.
    pub start: usize,
    /// One past the last channel.
    pub end: usize,
}

impl Operation for Slice {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, Self { start, end }) = (inputs[0], *self);
        if start >= end || end > x.c {
            return Err(format!("channels {start}..{end} of {}", x.c));
        }
        Ok(x.with_channels(end - start))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::view(Stored::AsInput)
    }
}
