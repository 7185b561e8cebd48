//! `scale_channels`: a factor per sample and channel.

use super::{Arity, Operation, Part, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Inputs `x` and `factor [N, C, 1, 1]`: `x · factor[n,c]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ScaleChannels;

impl Operation for ScaleChannels {
    const ARITY: Arity = Arity::Exactly(2);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, factor) = (inputs[0], inputs[1]);
        if factor != Shape::vector(x.n, x.c) {
            return Err(format!("factors are {factor}, expected [{}, {}, 1, 1]", x.n, x.c));
        }
        Ok(x)
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::ChannelScale)
    }
}
