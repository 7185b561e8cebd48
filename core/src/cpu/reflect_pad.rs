//! `reflect_pad`: borders that mirror the picture without repeating its edge.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::Padding;
use crate::graph::ops::ReflectPad;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    let ReflectPad(padding) = *step.op()?;
    Ok(Ready::new(0, move |io| run(padding, io.x(), io.epilogue, io.output)))
}

/// `y[h,w] = x[mirror(h - top), mirror(w - left)]`
pub fn run(padding: Padding, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let width = output.shape.w;
    let mirror = |at: usize, before: i32, size: usize| {
        let at = at.abs_diff(before as usize);
        (size - 1).abs_diff((size - 1).abs_diff(at))
    };
    output.fill_planes(|n, c, plane| {
        let source = x.plane(n, c);
        for (h, row) in plane.chunks_exact_mut(width).enumerate() {
            let source = &source[mirror(h, padding.top, x.shape.h) * x.shape.w..][..x.shape.w];
            for (w, y) in row.iter_mut().enumerate() {
                *y = source[mirror(w, padding.left, x.shape.w)];
            }
        }
        epilogue.apply(n, c, 0, plane);
    });
}
