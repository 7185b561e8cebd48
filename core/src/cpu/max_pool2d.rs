//! `max_pool2d`: the largest value of each window.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::MaxPool2d;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    let op: MaxPool2d = *step.op()?;
    Ok(Ready::new(0, move |io| run(op, io.x(), io.epilogue, io.output)))
}

/// `y[h,w] = max_{u,v} x[h·stride - padding + u, w·stride - padding + v]` for `u, v` in `0..kernel`,
/// places outside not counted; NaN wins.
pub fn run(
    MaxPool2d { kernel, stride, padding }: MaxPool2d,
    x: &Tensor,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let width = output.shape.w;
    let window = |at: usize, size: usize| {
        let start = at * stride;
        start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(size)
    };
    output.fill_planes(|n, c, plane| {
        let source = x.plane(n, c);
        for (h, row) in plane.chunks_exact_mut(width).enumerate() {
            for (w, y) in row.iter_mut().enumerate() {
                *y = f32::MIN;
                for from in window(h, x.shape.h) {
                    let columns = window(w, x.shape.w);
                    for &v in &source[from * x.shape.w..][columns] {
                        *y = if v > *y || v.is_nan() { v } else { *y };
                    }
                }
            }
        }
        epilogue.apply(n, c, 0, plane);
    });
}
