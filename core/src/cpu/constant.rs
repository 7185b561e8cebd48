//! `constant`: a parameter, repeated over the batch.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::TensorMut;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Constant;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, _: Quality) -> Result<Ready> {
    let Constant { value, .. } = *step.op()?;
    let values = graph.param(value).to_f32();
    Ok(Ready::new(size_of_val(&values[..]), move |io| run(&values, io.epilogue, io.output)))
}

/// `y[n,c,h,w] = values[c,h,w]`
pub fn run(values: &[f32], epilogue: &Epilogue, output: &mut TensorMut) {
    let size = output.shape.plane();
    output.fill_planes(|n, c, plane| {
        plane.copy_from_slice(&values[c * size..][..size]);
        epilogue.apply(n, c, 0, plane);
    });
}
