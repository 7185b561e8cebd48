//! `group_norm`: groups of channels of mean 0 and variance 1, then a factor per channel.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::team;
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::GroupNorm;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, _: Quality) -> Result<Ready> {
    let GroupNorm { groups, epsilon, weight } = *step.op()?;
    let weight = graph.param(weight).to_f32();
    Ok(Ready::new(size_of_val(&weight[..]), move |io| {
        run(groups, epsilon, &weight, io.x(), io.epilogue, io.output);
    }))
}

/// `y[n,c,h,w] = weight[c] · (x[n,c,h,w] - mean[n,g]) / √(variance[n,g] + epsilon)`
pub fn run(
    groups: usize,
    epsilon: f32,
    weight: &[f32],
    x: &Tensor,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let group = x.shape.sample() / groups;
    let parts: Vec<&[f32]> = x.samples.iter().flat_map(|x| x.chunks_exact(group)).collect();
    let mut moments = vec![Moments::default(); parts.len()];
    let work = moments.iter_mut().zip(parts).collect();
    team::for_each(work, |(moments, values)| *moments = Moments::of(values));
    let channels = x.shape.c / groups;
    output.fill_planes(|n, c, plane| {
        let Moments { mean, variance } = moments[n * groups + c / channels];
        let factor = f64::from(weight[c]) / (variance + f64::from(epsilon)).sqrt();
        let (mean, factor) = (mean as f32, factor as f32);
        for (y, v) in plane.iter_mut().zip(x.plane(n, c)) {
            *y = (v - mean) * factor;
        }
        epilogue.apply(n, c, 0, plane);
    });
}

/// Mean and variance of some values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// `Σ v / len`
    pub mean: f64,
    /// `Σ (v - mean)² / len`
    pub variance: f64,
}

impl Moments {
    /// Of `values`, in two passes: the difference of two large sums would lose digits.
    pub fn of(values: &[f32]) -> Self {
        let len = values.len() as f64;
        let mean = sum(values, |v| v) / len;
        let variance = sum(values, |v| (v - mean) * (v - mean)) / len;
        Self { mean, variance }
    }
}

/// `Σ f(v)` in independent sums, which vectorise.
fn sum(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    const LANES: usize = 16;
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, v) in sums.iter_mut().zip(block) {
            *sum += f(f64::from(*v));
        }
    }
    let rest: f64 = rest.iter().map(|v| f(f64::from(*v))).sum();
    sums.iter().sum::<f64>() + rest
}
