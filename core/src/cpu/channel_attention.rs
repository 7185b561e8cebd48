//! `channel_attention`: softmax attention of channels, head by head.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::ChannelAttention;
use crate::plan::Step;

/// What norms are at least, as in PyTorch's `normalize`.
const SMALLEST: f64 = 1e-12;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, quality: Quality) -> Result<Ready> {
    let ChannelAttention { heads, temperature } = *step.op()?;
    let temperature = graph.param(temperature).to_f32();
    let memory = size_of_val(&temperature[..]);
    let dot = match quality {
        Quality::Fast => fast_dot,
        Quality::Twin => exact_dot,
    };
    Ok(Ready::new(memory, move |io| {
        let others = [io.operand(1), io.operand(2)];
        run(heads, &temperature, io.x(), others, dot, io.epilogue, io.output);
    }))
}

/// `y[n,c,t] = Σ_d softmax_d(τ[a] · Σ_s q[n,c,s] · k[n,d,s] / (‖q[n,c]‖ · ‖k[n,d]‖)) · v[n,d,t]`
/// for channels `c` and `d` of head `a`. `dot` sums products over pixels: the twin's in f64.
pub fn run(
    heads: usize,
    temperature: &[f32],
    query: &Tensor,
    [key, value]: [&Tensor; 2],
    dot: fn(&[f32], &[f32]) -> f64,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let width = query.shape.c / heads;
    let norm = |plane: &[f32]| dot(plane, plane).sqrt().max(SMALLEST);
    output.fill_planes(|n, c, y| {
        let head = c / width;
        let q = query.plane(n, c);
        let factor = f64::from(temperature[head]) / norm(q);
        let channels = head * width..(head + 1) * width;
        let scores: Vec<f64> = (channels.clone())
            .map(|d| key.plane(n, d))
            .map(|k| factor * dot(q, k) / norm(k))
            .collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let total: f64 = weights.iter().sum();
        y.fill(0.0);
        for (d, weight) in channels.zip(&weights) {
            let weight = (weight / total) as f32;
            for (y, v) in y.iter_mut().zip(value.plane(n, d)) {
                *y += weight * v;
            }
        }
        epilogue.apply(n, c, 0, y);
    });
}

/// `Σ a·b` in f64.
fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// `Σ a·b`, 4096 products at a time in 32 independent sums, which vectorise.
fn fast_dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 32;
    const BLOCK: usize = 4096;
    let block = |(a, b): (&[f32], &[f32])| {
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
                f64::from(sums.iter().sum::<f32>() + rest)
            },
        )
    };
    a.chunks(BLOCK).zip(b.chunks(BLOCK)).map(block).sum()
}
