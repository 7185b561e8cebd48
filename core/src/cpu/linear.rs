//! `linear`: a matrix times few vectors. What it costs is reading the matrix, once for all samples.

use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Linear;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let Linear(weight) = *step.op()?;
    let weight = graph.param(weight).to_f32();
    let memory = size_of_val(&weight[..]);
    Ok(Ready::new(memory, move |io| run_fast(&weight, io.x(), io.epilogue, io.output)))
}

/// Makes its twin ready to run.
pub fn twin(step: &Step, graph: &Graph) -> Result<Ready> {
    let Linear(weight) = *step.op()?;
    let weight = graph.param(weight).to_f32();
    let memory = size_of_val(&weight[..]);
    Ok(Ready::new(memory, move |io| run(&weight, io.x(), io.epilogue, io.output)))
}

/// `y[n,o] = Σ_i W[o,i] · x[n,i]`, `x` flattened. The twin; sums in f64.
pub fn run(weight: &[f32], x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let depth = x.shape.sample();
    output.fill_planes(|n, o, y| {
        let row = &weight[o * depth..][..depth];
        let products = row.iter().zip(x.samples[n]).map(|(&w, &x)| f64::from(w) * f64::from(x));
        y[0] = products.sum::<f64>() as f32;
        epilogue.apply(n, o, 0, y);
    });
}

/// The fast version.
pub fn run_fast(weight: &[f32], x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    /// Weights that a thread takes at a time: it reads them in a few microseconds.
    const GRAIN: usize = 16 << 10;
    let depth = x.shape.sample();
    let rows = (GRAIN / depth).max(1);
    let batch = x.samples.len();
    let mut sums = vec![0.0; output.shape.c * batch];
    let parts = weight.chunks(rows * depth).zip(sums.chunks_mut(rows * batch));
    team::for_each(parts.collect(), |(weight, sums)| {
        for (row, sums) in weight.chunks_exact(depth).zip(sums.chunks_exact_mut(batch)) {
            for (sum, x) in sums.iter_mut().zip(&x.samples) {
                *sum = dot(row, x);
            }
        }
    });
    for ([n, o], y) in output.planes() {
        y[0] = sums[o * batch + n];
        epilogue.apply(n, o, 0, y);
    }
}

/// `Σ a·b` in 32 independent sums, which vectorise.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 32;
    vectorize(
        #[inline(always)]
        || {
            let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            let mut sums = [0.0f32; LANES];
            for (a, b) in a.iter().zip(b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum = a.mul_add(*b, *sum);
                }
            }
            let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
            sums.iter().sum::<f32>() + rest
        },
    )
}
