//! `linear`: a matrix times few vectors. What it costs is reading the matrix, once for all samples.

use rayon::prelude::*;

use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;

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
    /// Rows that a thread takes at least.
    const GRAIN: usize = 16;
    let depth = x.shape.sample();
    let sums: Vec<Vec<f32>> = weight
        .par_chunks_exact(depth)
        .with_min_len(GRAIN)
        .map(|row| x.samples.iter().map(|x| dot(row, x)).collect())
        .collect();
    for ([n, o], y) in output.planes() {
        y[0] = sums[o][n];
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
