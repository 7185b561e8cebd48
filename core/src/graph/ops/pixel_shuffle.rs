//! `pixel_shuffle`: depth to space.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[c, h·r+i, w·r+j] = x[c·r² + i·r + j, h, w]` with a factor `r`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PixelShuffle(pub usize);

impl Operation for PixelShuffle {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, r) = (inputs[0], self.0);
        if r == 0 || !x.c.is_multiple_of(r * r) {
            return Err(format!("{} channels are not a multiple of {r}²", x.c));
        }
        Ok(Shape::new(x.n, x.c / (r * r), x.h * r, x.w * r))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
