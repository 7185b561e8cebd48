//! `embedding`: rows of a table.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Embedding;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, _: Quality) -> Result<Ready> {
    let Embedding(table) = *step.op()?;
    let table = graph.param(table).to_f32();
    Ok(Ready::new(size_of_val(&table[..]), move |io| run(&table, io.x(), io.epilogue, io.output)))
}

/// `y[n,c,h,w] = table[x[n,0,h,w], c]`; the last row beyond the end, NaN for NaN.
pub fn run(table: &[f32], x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let channels = output.shape.c;
    let last = table.len() / channels - 1;
    output.fill_planes(|n, c, plane| {
        for (y, index) in plane.iter_mut().zip(x.plane(n, 0)) {
            let row = (*index as usize).min(last);
            *y = if index.is_nan() { *index } else { table[row * channels + c] };
        }
        epilogue.apply(n, c, 0, plane);
    });
}
