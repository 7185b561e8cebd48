//! `pixel_shuffle`: depth to space.

use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};

/// `y[c, h·r+i, w·r+j] = x[c·r² + i·r + j, h, w]`
pub fn run(r: usize, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let width = output.shape.w;
    output.fill_planes(|n, c, plane| {
        for (h, row) in plane.chunks_exact_mut(width).enumerate() {
            for j in 0..r {
                let source = x.plane(n, c * r * r + h % r * r + j);
                let source = &source[h / r * x.shape.w..][..x.shape.w];
                for (y, v) in row[j..].iter_mut().step_by(r).zip(source) {
                    *y = *v;
                }
            }
        }
        epilogue.apply(n, c, 0, plane);
    });
}
