//! `attention`: softmax attention of pixels.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Attention of the pixels of a picture; inputs `q`, `k`, `v`, pixels `t` and `s` counted row
/// by row, channels `c` of head `a` = `c / D` with `D = C/heads`:
/// `y[n,c,t] = Σ_s softmax_s(Σ_j q[n,a·D+j,t] · k[n,a·D+j,s] / √D) · v[n,c,s]`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Attention {
    /// Blocks of consecutive channels that attend on their own.
    pub heads: usize,
}

impl Operation for Attention {
    const ARITY: Arity = Arity::Exactly(3);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, k, v) = (inputs[0], inputs[1], inputs[2]);
        let heads = self.heads;
        if heads == 0 || !x.c.is_multiple_of(heads) {
            return Err(format!("{} channels in {heads} heads", x.c));
        }
        if k != v || (k.n, k.c) != (x.n, x.c) {
            return Err(format!("query is {x}, key {k}, value {v}"));
        }
        Ok(x)
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, inputs: &[Shape], output: Shape) -> usize {
        // Scores, then the weighted sum.
        2 * output.len() * inputs[1].plane()
    }

    fn planning(&self) -> Planning {
        Planning { buffers: 4, ..Planning::step(Cost::Light) }
    }
}
