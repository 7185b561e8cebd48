//! `resize`: nearest and bilinear.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use super::upsample;
use super::vectorize::vectorize;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::Interpolation;
use crate::graph::ops::Resize;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, quality: Quality) -> Result<Ready> {
    let Resize { interpolation, step, .. } = *step.op()?;
    Ok(match quality {
        Quality::Fast => Ready::new(0, move |io| {
            run_fast(interpolation, step, io.x(), io.epilogue, io.output);
        }),
        Quality::Twin => Ready::new(0, move |io| {
            run(interpolation, step, io.x(), io.epilogue, io.output);
        }),
    })
}

/// `y[n,c,h,w]` read at the source position that [`Interpolation`] gives. The twin.
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

/// The fast version: two rows are blended as vectors, and so are the columns where the width
/// doubles or halves.
pub fn run_fast(
    interpolation: Interpolation,
    step: [f32; 2],
    x: &Tensor,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let rows = samples(interpolation, step[0], x.shape.h, output.shape.h);
    let columns = samples(interpolation, step[1], x.shape.w, output.shape.w);
    let (from, width) = (x.shape.w, output.shape.w);
    let bilinear = interpolation == Interpolation::Bilinear;
    let doubles = bilinear && step[1] == 0.5 && width == 2 * from;
    let halves = bilinear && step[1] == 2.0 && 2 * width <= from;
    output.fill_planes(|n, c, plane| {
        let x_plane = x.plane(n, c);
        let mut blended = vec![0.0; from];
        vectorize(
            #[inline(always)]
            || {
                for (y, row) in plane.chunks_exact_mut(width).zip(&rows) {
                    let [upper, lower] = row.between.map(|h| &x_plane[h * from..][..from]);
                    let fraction = row.fraction;
                    for ((to, upper), lower) in blended.iter_mut().zip(upper).zip(lower) {
                        *to = (1.0 - fraction) * upper + fraction * lower;
                    }
                    if doubles {
                        upsample::bilinear_row(&blended, 0, y);
                    } else if halves {
                        for (y, pair) in y.iter_mut().zip(blended.as_chunks::<2>().0) {
                            *y = 0.5 * (pair[0] + pair[1]);
                        }
                    } else {
                        for (y, column) in y.iter_mut().zip(&columns) {
                            let [left, right] = column.between;
                            let fraction = column.fraction;
                            *y = (1.0 - fraction) * blended[left] + fraction * blended[right];
                        }
                    }
                }
            },
        );
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
