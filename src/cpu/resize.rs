//! `resize`: nearest and bilinear.

use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};
use crate::graph::Interpolation;

/// `y[n,c,h,w]` read at the source position that [`Interpolation`] gives.
pub fn run(
    interpolation: Interpolation,
    step: [f32; 2],
    x: &Tensor,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let rows = samples(interpolation, step[0], x.shape.h, output.shape.h);
    let columns = samples(interpolation, step[1], x.shape.w, output.shape.w);
    let width = output.shape.w;
    output.fill_planes(|n, c, plane| {
        let x_plane = x.plane(n, c);
        for (y, row) in plane.chunks_exact_mut(width).zip(&rows) {
            let [upper, lower] = row.between.map(|h| &x_plane[h * x.shape.w..][..x.shape.w]);
            for (y, column) in y.iter_mut().zip(&columns) {
                let along = |row: &[f32]| {
                    let [left, right] = column.between.map(|w| row[w]);
                    (1.0 - column.fraction) * left + column.fraction * right
                };
                *y = (1.0 - row.fraction) * along(upper) + row.fraction * along(lower);
            }
        }
        epilogue.apply(n, c, 0, plane);
    });
}

/// Where an output reads on one axis: `(1 - fraction) · x[between[0]] + fraction · x[between[1]]`.
struct Sample {
    between: [usize; 2],
    fraction: f32,
}

fn samples(interpolation: Interpolation, step: f32, from: usize, to: usize) -> Vec<Sample> {
    let last = from - 1;
    let sample = |at: usize| {
        let position = match interpolation {
            Interpolation::Nearest => (at as f32 * step).floor(),
            Interpolation::Bilinear => ((at as f32 + 0.5) * step - 0.5).max(0.0),
            Interpolation::BilinearAlignCorners if to == 1 => 0.0,
            Interpolation::BilinearAlignCorners => at as f32 * (last as f32 / (to - 1) as f32),
        };
        let first = (position as usize).min(last);
        let fraction = (position - first as f32).clamp(0.0, 1.0);
        Sample { between: [first, (first + 1).min(last)], fraction }
    };
    (0..to).map(sample).collect()
}
