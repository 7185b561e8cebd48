//! `upfirdn2d`: upsample, filter, downsample.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::Padding;
use crate::graph::ops::Upfirdn2d;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, _: Quality) -> Result<Ready> {
    let Upfirdn2d { kernel, up, down, padding } = *step.op()?;
    let param = graph.param(kernel);
    let [kh, kw] = *param.dims else { return Err(step.misfit("its filter is not [kh, kw]")) };
    let filter = Filter { taps: param.to_f32(), size: [kh, kw], up, down, padding };
    Ok(Ready::new(size_of_val(&filter.taps[..]), move |io| {
        run(&filter, io.x(), io.epilogue, io.output)
    }))
}

/// A filter and its geometry.
#[derive(Clone, Debug)]
pub struct Filter {
    /// `[kh, kw]`
    pub taps: Vec<f32>,
    /// Rows and columns of `taps`.
    pub size: [usize; 2],
    /// Samples that each becomes.
    pub up: usize,
    /// Samples of which one stays.
    pub down: usize,
    /// Zeros before; negative crops. What stands after follows from the output's size.
    pub padding: Padding,
}

/// `y[h,w] = Σ_{u,v} K[kh-1-u, kw-1-v] · z[h·down + u - top, w·down + v - left]` where `z` is `x`
/// with `up - 1` zeros after every sample, and zero outside.
pub fn run(filter: &Filter, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let [kh, kw] = filter.size;
    let width = output.shape.w;
    output.fill_planes(|n, c, plane| {
        for (p, y) in plane.iter_mut().enumerate() {
            let (h, w) = (p / width, p % width);
            let mut sum = 0.0;
            for u in 0..kh {
                let Some(row) = filter.source(h, u, filter.padding.top) else { continue };
                for v in 0..kw {
                    let Some(column) = filter.source(w, v, filter.padding.left) else { continue };
                    let tap = filter.taps[(kh - 1 - u) * kw + kw - 1 - v];
                    sum += tap * x.at(n, c, row, column);
                }
            }
            *y = sum;
        }
        epilogue.apply(n, c, 0, plane);
    });
}

impl Filter {
    /// The sample of `x` that tap `tap` of output `at` reads, unless it is an inserted zero.
    fn source(&self, at: usize, tap: usize, before: i32) -> Option<isize> {
        let position = (at * self.down + tap) as isize - before as isize;
        let up = self.up as isize;
        (position.rem_euclid(up) == 0).then(|| position.div_euclid(up))
    }
}
