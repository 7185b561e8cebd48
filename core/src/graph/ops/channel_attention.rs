//! `channel_attention`: softmax attention of the channels of a picture.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Attention of the channels of a head to each other (El-Nouby et al. 2021, *XCiT*); inputs `q`,
/// `k`, `v`, channels `c` and `d` of head `a` = `c / D` with `D = C/heads`:
/// `y[n,c,t] = Σ_d softmax_d(τ[a] · Σ_s q[n,c,s] · k[n,d,s] / (‖q[n,c]‖ · ‖k[n,d]‖)) · v[n,d,t]`
/// with norms over all pixels, at least 1e-12.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ChannelAttention {
    /// Blocks of consecutive channels that attend on their own.
    pub heads: usize,
    /// `τ`, `[heads]`
    pub temperature: ParamId,
}

impl Operation for ChannelAttention {
    const ARITY: Arity = Arity::Exactly(3);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, k, v) = (inputs[0], inputs[1], inputs[2]);
        let heads = self.heads;
        if heads == 0 || !x.c.is_multiple_of(heads) {
            return Err(format!("{} channels in {heads} heads", x.c));
        }
        if k != x || v != x {
            return Err(format!("query is {x}, key {k}, value {v}"));
        }
        let temperature = graph.param(self.temperature);
        if temperature.len() != heads {
            let (name, dims) = (&temperature.name, &temperature.dims);
            return Err(format!("tensor {name} is {dims:?}, expected [{heads}]"));
        }
        Ok(x)
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.temperature);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], output: Shape) -> usize {
        // Scores, then the weighted sum.
        2 * output.len() * (output.c / self.heads)
    }

    fn planning(&self) -> Planning {
        Planning { buffers: 4, ..Planning::step(Cost::Light) }
    }
}
