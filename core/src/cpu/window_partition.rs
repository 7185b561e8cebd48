//! `window_partition`: the windows of a picture as samples, and back.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::WindowPartition;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    let op: WindowPartition = *step.op()?;
    Ok(Ready::new(0, move |io| run(op, io.x(), io.epilogue, io.output)))
}

/// `y[(n·R + r)·S + s, c, i, j] = x[n, c, r·h + i, s·w + j]`, dilated
/// `y[(n·R + r)·S + s, c, i, j] = x[n, c, i·R + r, j·S + s]`; or the other way round.
pub fn run(op: WindowPartition, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let WindowPartition { windows: [rows, columns], dilated, reverse } = op;
    let width = output.shape.w;
    let window = if reverse { x.shape } else { output.shape };
    // Place `i` of window `at` along an axis of `count` windows with `size` pixels each, and back.
    let place = |at: usize, i: usize, count: usize, size: usize| {
        if dilated { i * count + at } else { at * size + i }
    };
    let part = |place: usize, count: usize, size: usize| {
        if dilated { (place % count, place / count) } else { (place / size, place % size) }
    };
    output.fill_planes(|n, c, plane| {
        if reverse {
            for (row, y) in plane.chunks_exact_mut(width).enumerate() {
                let (r, i) = part(row, rows, window.h);
                for (column, y) in y.iter_mut().enumerate() {
                    let (s, j) = part(column, columns, window.w);
                    *y = x.plane((n * rows + r) * columns + s, c)[i * window.w + j];
                }
            }
        } else {
            let (r, s) = (n / columns % rows, n % columns);
            let source = x.plane(n / (rows * columns), c);
            for (i, y) in plane.chunks_exact_mut(width).enumerate() {
                let row = place(r, i, rows, window.h);
                for (j, y) in y.iter_mut().enumerate() {
                    *y = source[row * x.shape.w + place(s, j, columns, window.w)];
                }
            }
        }
        epilogue.apply(n, c, 0, plane);
    });
}
