//! `pixel_shuffle`: depth to space.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::PixelShuffle;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    let PixelShuffle(factor) = *step.op()?;
    Ok(Ready::new(0, move |io| run(factor, io.x(), io.epilogue, io.output)))
}

/// `y[c, h·r+i, w·r+j] = x[c·r² + i·r + j, h, w]`
pub fn run(r: usize, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let width = output.shape.w;
    output.fill_planes(|n, c, plane| {
        let source = |h: usize, j: usize| {
            let source = x.plane(n, c * r * r + h % r * r + j);
            &source[h / r * x.shape.w..][..x.shape.w]
        };
        vectorize(
            #[inline(always)]
            || {
                for (h, row) in plane.chunks_exact_mut(width).enumerate() {
                    match r {
                        2 => interleave([0, 1].map(|j| source(h, j)), row),
                        4 => interleave([0, 1, 2, 3].map(|j| source(h, j)), row),
                        _ => {
                            for j in 0..r {
                                let to = row[j..].iter_mut().step_by(r);
                                to.zip(source(h, j)).for_each(|(y, v)| *y = *v);
                            }
                        }
                    }
                }
            },
        );
        epilogue.apply(n, c, 0, plane);
    });
}

/// The first of each source, the second of each, …
#[inline(always)]
fn interleave<const R: usize>(sources: [&[f32]; R], row: &mut [f32]) {
    let pixels = row.as_chunks_mut::<R>().0;
    let sources = sources.map(|source| &source[..pixels.len()]);
    for (i, pixel) in pixels.iter_mut().enumerate() {
        for (y, source) in pixel.iter_mut().zip(sources) {
            *y = source[i];
        }
    }
}
