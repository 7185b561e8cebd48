//! `modulated_conv2d`: StyleGAN2's modulated convolution.

use super::{Arity, Conv2d, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Inputs `x`, `style [N, I]`: `W'[n,o,i] = W[o,i] · style[n,i]`, and with `demodulate`
/// `W' *= rsqrt(Σ_{i,u,v} W'² + 1e-8)`; then a convolution with `W'`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ModulatedConv2d {
    /// The convolution; `groups` is 1.
    pub conv: Conv2d,
    /// Whether output channels are normalised.
    pub demodulate: bool,
}

/// Style and demodulation factors are two more buffers.
pub(super) const PLANNING: Planning = Planning { buffers: 5, ..Planning::step(Cost::Heavy) };

/// Whether the style has one value per channel of `x`, and all channels are in one group.
pub(super) fn check_style(conv: &Conv2d, inputs: &[Shape]) -> Result<(), String> {
    let (x, style) = (inputs[0], inputs[1]);
    if conv.groups != 1 {
        return Err("modulated convolutions have one group".to_owned());
    }
    if style != Shape::vector(x.n, x.c) {
        return Err(format!("style is {style}, expected [{}, {}, 1, 1]", x.n, x.c));
    }
    Ok(())
}

impl Operation for ModulatedConv2d {
    const ARITY: Arity = Arity::Exactly(2);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        check_style(&self.conv, inputs)?;
        self.conv.convolved(graph, inputs[0])
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        self.conv.visit_params(visit);
    }

    fn multiply_adds(&self, graph: &Graph, inputs: &[Shape], output: Shape) -> usize {
        self.conv.multiply_adds(graph, inputs, output)
    }

    fn planning(&self) -> Planning {
        PLANNING
    }
}
