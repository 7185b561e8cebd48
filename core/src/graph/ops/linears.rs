//! `linears`: linear layers of the same vectors, side by side.

use super::{Arity, Cost, Operation, Planning, Reads, Stored, misfit, weight4};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// The outputs of several layers `p`, one after the other; `x` is flattened (C, H, W):
///
/// ```text
/// y[n, first_p + o] = Σ_i W_p[o, i] · x[n, f_p + i] + b_p[o]
/// y[n, first_p + o] = rsqrt(Σ_{i,u,v} (W_p[o, i, u, v] · x[n, f_p + i])² + 1e-8)     to demodulate
/// ```
///
/// No network asks for it: the planner makes it of [`Linear`](super::Linear) with their biases, and of
/// [`Demodulate`](super::Demodulate).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Linears {
    /// In the order of their outputs.
    pub layers: Vec<Layer>,
    /// Whether they yield factors that demodulate.
    pub demodulate: bool,
}

/// One of [`Linears`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer {
    /// `[O, I]`, or `[O, I, kh, kw]` to demodulate.
    pub weight: ParamId,
    /// `[O]`; all layers have one, or none.
    pub bias: Option<ParamId>,
    /// First value of `x` that it reads.
    pub first: usize,
}

impl Linears {
    /// Outputs and inputs of `layer`.
    ///
    /// # Errors
    /// A sentence about its weight.
    pub fn sizes(&self, graph: &Graph, layer: &Layer) -> Result<[usize; 2], String> {
        if self.demodulate {
            return weight4(graph, layer.weight).map(|[o, i, ..]| [o, i]);
        }
        match *graph.param(layer.weight).dims {
            [o, i] => Ok([o, i]),
            _ => Err(misfit(graph, layer.weight, "[O, I]")),
        }
    }
}

impl Operation for Linears {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let x = inputs[0];
        let mut outputs = 0;
        for layer in &self.layers {
            let [o, i] = self.sizes(graph, layer)?;
            if layer.first.checked_add(i).is_none_or(|end| end > x.sample()) {
                let (first, last) = (layer.first, x.sample());
                return Err(format!("a layer reads {i} values from {first} on, of {last}"));
            }
            if let Some(bias) = layer.bias.filter(|&bias| graph.param(bias).len() != o) {
                return Err(misfit(graph, bias, &format!("[{o}]")));
            }
            outputs += o;
        }
        let biases = self.layers.iter().filter(|layer| layer.bias.is_some()).count();
        if self.layers.is_empty() {
            return Err("it has no layers".to_owned());
        }
        if ![0, self.layers.len()].contains(&biases) {
            return Err("some of its layers have a bias, and some have none".to_owned());
        }
        Ok(Shape::vector(x.n, outputs))
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        for layer in &mut self.layers {
            visit(&mut layer.weight);
            layer.bias.iter_mut().for_each(&mut *visit);
        }
    }

    fn multiply_adds(&self, graph: &Graph, _: &[Shape], output: Shape) -> usize {
        let products = |layer| self.sizes(graph, layer).map_or(0, |[o, i]| o * i);
        output.n * self.layers.iter().map(products).sum::<usize>()
    }

    fn planning(&self) -> Planning {
        let reads = if self.demodulate { Reads::TapSquares } else { Reads::Values };
        Planning {
            stored: Stored::AsF32,
            reads_f32: true,
            reads,
            buffers: 4,
            ..Planning::step(Cost::Light)
        }
    }
}
