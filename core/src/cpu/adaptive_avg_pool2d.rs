//! `adaptive_avg_pool2d`: the mean of each of `H' × W'` windows that cover the input.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::AdaptiveAvgPool2d;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    step.op::<AdaptiveAvgPool2d>()?;
    Ok(Ready::new(0, move |io| run(io.x(), io.epilogue, io.output)))
}

/// `y[h,w] = mean(x[⌊h·H/H'⌋..⌈(h+1)·H/H'⌉, ⌊w·W/W'⌋..⌈(w+1)·W/W'⌉])`; sums in f64.
pub fn run(x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let to = output.shape;
    let window = |at: usize, from: usize, to: usize| at * from / to..((at + 1) * from).div_ceil(to);
    output.fill_planes(|n, c, plane| {
        let source = x.plane(n, c);
        for (p, y) in plane.iter_mut().enumerate() {
            let rows = window(p / to.w, x.shape.h, to.h);
            let columns = window(p % to.w, x.shape.w, to.w);
            let pixels = rows.len() * columns.len();
            let row = |h: usize| -> f64 {
                source[h * x.shape.w..][columns.clone()].iter().map(|&v| f64::from(v)).sum()
            };
            *y = (rows.map(row).sum::<f64>() / pixels as f64) as f32;
        }
        epilogue.apply(n, c, 0, plane);
    });
}
