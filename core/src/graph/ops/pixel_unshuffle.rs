//! `pixel_unshuffle`: space to depth.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[c·r² + i·r + j, h, w] = x[c, h·r+i, w·r+j]` with a factor `r`: the inverse of
/// [`PixelShuffle`](super::PixelShuffle).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PixelUnshuffle(pub usize);

impl Operation for PixelUnshuffle {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, r) = (inputs[0], self.0);
        if r == 0 || !x.h.is_multiple_of(r) || !x.w.is_multiple_of(r) {
            return Err(format!("{} × {} is not a multiple of {r}", x.h, x.w));
        }
        Ok(Shape::new(x.n, x.c * r * r, x.h / r, x.w / r))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
