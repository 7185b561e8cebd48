//! Host side of `kernels/ada_in.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::AdaIn;
use crate::plan::{Plan, Step};

/// Invocations per workgroup, a power of two: a channel of the smallest networks has 256 pixels.
const WORKGROUP: usize = 64;

/// Mean and deviation of another tensor.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let AdaIn { epsilon } = *step.op()?;
    let (x, style) = (step.x()?, step.operand(1)?);
    let mut launch = Builder::new(plan, "ada_in");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    launch.view("STYLE", style);
    launch.uint("style_pixels", style.shape.plane());
    launch.float("epsilon", epsilon);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(x.shape.n * x.shape.c)])
}
