//! `ada_in`: adaptive instance norm, each channel with the mean and deviation of another tensor's.

use super::epilogue::Epilogue;
use super::group_norm::Moments;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::AdaIn;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    let AdaIn { epsilon } = *step.op()?;
    Ok(Ready::new(0, move |io| run(epsilon, io.x(), io.operand(1), io.epilogue, io.output)))
}

/// `y = (x - mean_x) · deviation_style / deviation_x + mean_style`, per sample and channel, with
/// `deviation = √(Σ (v - mean)² / (len - 1) + epsilon)`
pub fn run(epsilon: f32, x: &Tensor, style: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let moments = |values: &[f32]| {
        let Moments { mean, variance } = Moments::of(values);
        let len = values.len() as f64;
        (mean, (variance * len / (len - 1.0) + f64::from(epsilon)).sqrt())
    };
    output.fill_planes(|n, c, plane| {
        let x = x.plane(n, c);
        let ((mean_x, deviation_x), (mean_style, deviation_style)) =
            (moments(x), moments(style.plane(n, c)));
        let factor = deviation_style / deviation_x;
        for (y, v) in plane.iter_mut().zip(x) {
            *y = ((f64::from(*v) - mean_x) * factor + mean_style) as f32;
        }
        epilogue.apply(n, c, 0, plane);
    });
}
