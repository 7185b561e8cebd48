//! `pixel_norm`: vectors of mean square one.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::PixelNorm;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    step.op::<PixelNorm>()?;
    Ok(Ready::new(0, move |io| run(io.x(), io.epilogue, io.output)))
}

/// `y[n,c] = x[n,c] · rsqrt(mean_c(x[n,c]²) + 1e-8)`
pub fn run(x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    for (n, (x, y)) in x.samples.iter().zip(&mut output.samples).enumerate() {
        let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let factor = (squares / x.len() as f64 + 1e-8).sqrt().recip() as f32;
        for (c, (y, v)) in y.iter_mut().zip(*x).enumerate() {
            *y = v * factor;
            epilogue.apply(n, c, 0, std::slice::from_mut(y));
        }
    }
}
