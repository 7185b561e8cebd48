//! `pointwise`: only an epilogue.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Pointwise;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, _: Quality) -> Result<Ready> {
    step.op::<Pointwise>()?;
    Ok(Ready::new(0, move |io| run(io.x(), io.epilogue, io.output)))
}

/// `y = epilogue(x)`
pub fn run(x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    output.fill_planes(|n, c, plane| {
        plane.copy_from_slice(x.plane(n, c));
        epilogue.apply(n, c, 0, plane);
    });
}
