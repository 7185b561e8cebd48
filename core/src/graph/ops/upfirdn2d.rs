//! `upfirdn2d`: upsample, filter, downsample.

use super::{Arity, Cost, Operation, Padding, Planning, misfit};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Insert `up - 1` zeros after every sample, pad, convolve with the `[kh, kw]` parameter
/// (flipped: true convolution), keep every `down`-th sample.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Upfirdn2d {
    /// `[kh, kw]`
    pub kernel: ParamId,
    /// Upsampling factor.
    pub up: usize,
    /// Downsampling factor.
    pub down: usize,
    /// Zeros before and after; negative crops.
    pub padding: Padding,
}

impl Operation for Upfirdn2d {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let Self { kernel, up, down, padding } = *self;
        let [kh, kw] = *graph.param(kernel).dims else {
            return Err(misfit(graph, kernel, "[kh, kw]"));
        };
        if up == 0 || down == 0 {
            return Err("factors start at 1".to_owned());
        }
        let size = |n: usize, before: i32, after: i32, k: usize| {
            let full = (n * up) as i64 + i64::from(before) + i64::from(after) - k as i64;
            usize::try_from(full)
                .map(|full| full / down + 1)
                .map_err(|_| format!("a {k}-tap filter does not fit {n} samples with that padding"))
        };
        Ok(inputs[0].with_size(
            size(inputs[0].h, padding.top, padding.bottom, kh)?,
            size(inputs[0].w, padding.left, padding.right, kw)?,
        ))
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.kernel);
    }

    fn multiply_adds(&self, graph: &Graph, _: &[Shape], output: Shape) -> usize {
        output.len() * graph.param(self.kernel).len()
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
