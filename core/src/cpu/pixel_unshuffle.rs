//! `pixel_unshuffle`: space to depth.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::PixelUnshuffle;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    let PixelUnshuffle(factor) = *step.op()?;
    Ok(Ready::new(0, move |io| run(factor, io.x(), io.epilogue, io.output)))
}

/// `y[c·r² + i·r + j, h, w] = x[c, h·r+i, w·r+j]`
pub fn run(r: usize, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let width = output.shape.w;
    output.fill_planes(|n, c, plane| {
        let (i, j) = (c / r % r, c % r);
        let source = x.plane(n, c / (r * r));
        for (h, row) in plane.chunks_exact_mut(width).enumerate() {
            let source = &source[(h * r + i) * x.shape.w..][..x.shape.w];
            for (y, v) in row.iter_mut().zip(source[j..].iter().step_by(r)) {
                *y = *v;
            }
        }
        epilogue.apply(n, c, 0, plane);
    });
}
