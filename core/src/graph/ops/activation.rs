//! `activation`: a function of every value.

use super::{Arity, Operation, Part, Planning, check_vector};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// A function of one value (PReLU: of one value and its channel).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Activation {
    /// `v`
    #[default]
    Identity,
    /// `v` if positive, else `slope · v`; slope 0 is ReLU.
    LeakyRelu(f32),
    /// Leaky ReLU with one slope per channel, a `[C]` parameter.
    Prelu(ParamId),
    /// `v · sigmoid(v)`
    Silu,
    /// `1 / (1 + e^-v)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `½ v · (1 + erf(v/√2))`
    Gelu,
    /// `v · tanh(ln(1 + e^v))`
    Mish,
    /// `min(max(v, low), high)`
    Clamp(f32, f32),
}

impl Activation {
    /// The slopes of PReLU.
    pub const fn slopes(self) -> Option<ParamId> {
        if let Activation::Prelu(slopes) = self { Some(slopes) } else { None }
    }
}

impl Operation for Activation {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        if let Some(slopes) = self.slopes() {
            check_vector(graph, slopes, inputs[0].c)?;
        }
        Ok(inputs[0])
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        if let Activation::Prelu(slopes) = self {
            visit(slopes);
        }
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::part(Part::Activation(*self))
    }
}
