//! `resize`: nearest and bilinear.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// To `height × width`. `step` is the distance of two outputs in input pixels
/// (`1/scale_factor`, or `in/out` when the size was given).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Resize {
    /// Rows of the output.
    pub height: usize,
    /// Columns of the output.
    pub width: usize,
    /// How to read between pixels.
    pub interpolation: Interpolation,
    /// Input pixels per output pixel, `[y, x]`.
    pub step: [f32; 2],
}

/// How [`Resize`] reads between pixels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interpolation {
    /// `x[⌊dst · in/out⌋]`
    Nearest,
    /// `src = max(0, (dst + ½) · step - ½)`, edges clamp (PyTorch's `align_corners=False`).
    Bilinear,
    /// `src = dst · (in - 1)/(out - 1)` (PyTorch's `align_corners=True`).
    BilinearAlignCorners,
}

impl Operation for Resize {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0].with_size(self.height, self.width))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
