//! `modulated_conv_transpose2d`: StyleGAN2's modulated convolution, transposed.

use super::modulated_conv2d::{PLANNING, check_style};
use super::{Arity, Conv2d, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// [`ModulatedConv2d`](super::ModulatedConv2d) with a transposed convolution:
/// `y[o, s·h + u, s·w + v] += Σ_i x[i,h,w] · W'[o,i,u,v]`, padding crops the `(H-1)·s + k` rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ModulatedConvTranspose2d {
    /// The convolution; `groups` and `dilation` are 1.
    pub conv: Conv2d,
    /// Whether output channels are normalised.
    pub demodulate: bool,
}

impl Operation for ModulatedConvTranspose2d {
    const ARITY: Arity = Arity::Exactly(2);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        check_style(&self.conv, inputs)?;
        self.conv.transposed(graph, inputs[0])
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        self.conv.visit_params(visit);
    }

    fn multiply_adds(&self, graph: &Graph, inputs: &[Shape], _: Shape) -> usize {
        // Each pixel of the input meets the whole kernel.
        inputs[0].n * inputs[0].plane() * graph.param(self.conv.weight).len()
    }

    fn planning(&self) -> Planning {
        PLANNING
    }
}
