//! `layer_norm`: pixels whose channels have mean 0 and variance 1, then a factor per channel.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::LayerNorm;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, _: Quality) -> Result<Ready> {
    let LayerNorm { epsilon, weight } = *step.op()?;
    let weight = graph.param(weight).to_f32();
    Ok(Ready::new(size_of_val(&weight[..]), move |io| {
        run(epsilon, &weight, io.x(), io.epilogue, io.output);
    }))
}

/// `y[n,c,h,w] = weight[c] · (x[n,c,h,w] - mean[n,h,w]) / √(variance[n,h,w] + epsilon)`
pub fn run(epsilon: f32, weight: &[f32], x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let count = x.shape.c as f64;
    // Channel by channel, so that memory is read in order; one value per pixel.
    let over_channels = |n: usize, add: &dyn Fn(&mut f64, usize, f64)| {
        let mut sums = vec![0.0f64; x.shape.plane()];
        for plane in x.samples[n].chunks_exact(x.shape.plane()) {
            for (pixel, (sum, v)) in sums.iter_mut().zip(plane).enumerate() {
                add(sum, pixel, f64::from(*v));
            }
        }
        sums
    };
    let moments: Vec<[Vec<f32>; 2]> = (0..x.shape.n)
        .map(|n| {
            let mut means = over_channels(n, &|sum, _, v| *sum += v);
            means.iter_mut().for_each(|sum| *sum /= count);
            let squares = over_channels(n, &|sum, pixel, v| *sum += (v - means[pixel]).powi(2));
            let factor = |sum: &f64| (sum / count + f64::from(epsilon)).sqrt().recip() as f32;
            let factors = squares.iter().map(factor).collect();
            [means.iter().map(|mean| *mean as f32).collect(), factors]
        })
        .collect();
    output.fill_planes(|n, c, plane| {
        let [means, factors] = &moments[n];
        let pixels = x.plane(n, c).iter().zip(means).zip(factors);
        for (y, ((v, mean), factor)) in plane.iter_mut().zip(pixels) {
            *y = (v - mean) * factor * weight[c];
        }
        epilogue.apply(n, c, 0, plane);
    });
}
