//! `demodulate`: the factors of a modulated convolution's outputs.

use super::{Arity, Cost, Operation, Planning, Reads, Stored, weight4};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[n,o] = rsqrt(Σ_{i,u,v} (W[o,i,u,v] · x[n,i])² + 1e-8)` for styles `x [N, I]` and a weight
/// `[O, I, kh, kw]`: what outputs of a [`ModulatedConv2d`](super::ModulatedConv2d) are multiplied
/// with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Demodulate(pub ParamId);

impl Operation for Demodulate {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let ([o, i, ..], x) = (weight4(graph, self.0)?, inputs[0]);
        if x != Shape::vector(x.n, i) {
            return Err(format!("style is {x}, expected [{}, {i}, 1, 1]", x.n));
        }
        Ok(Shape::vector(x.n, o))
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.0);
    }

    fn multiply_adds(&self, _: &Graph, inputs: &[Shape], output: Shape) -> usize {
        output.len() * inputs[0].c
    }

    fn planning(&self) -> Planning {
        Planning {
            stored: Stored::AsF32,
            reads_f32: true,
            reads: Reads::TapSquares,
            ..Planning::step(Cost::Light)
        }
    }
}
