//! `arg_max`: the channel of each pixel's largest value.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::ArgMax;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    step.op::<ArgMax>()?;
    Ok(Ready::new(0, move |io| run(io.x(), io.epilogue, io.output)))
}

/// `y[n,0,h,w]` is the first `c` with the largest `x[n,c,h,w]`; NaN where one of them is.
pub fn run(x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    output.fill_planes(|n, _, indices| {
        let mut largest = x.plane(n, 0).to_vec();
        indices.fill(0.0);
        for c in 1..x.shape.c {
            for ((best, index), v) in largest.iter_mut().zip(&mut *indices).zip(x.plane(n, c)) {
                if *v > *best || v.is_nan() {
                    (*best, *index) = (*v, c as f32);
                }
            }
        }
        for (index, best) in indices.iter_mut().zip(&largest) {
            if best.is_nan() {
                *index = *best;
            }
        }
        epilogue.apply(n, 0, 0, indices);
    });
}
