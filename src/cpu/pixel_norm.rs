//! `pixel_norm`: vectors of mean square one.

use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};

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
