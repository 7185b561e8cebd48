//! Host side of `kernels/pointwise.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Pointwise;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;
/// Values, or words of several, per invocation: enough loads in flight to hide the memory's latency.
const STEPS: usize = 4;
const WORD_STEPS: usize = 2;

/// `y = epilogue(x)`
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    step.op::<Pointwise>()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "pointwise");
    launch.define("WORKGROUP", WORKGROUP);
    let quads = x.in_quads() && step.in_quads();
    let lanes = epilogue::lanes(&mut launch, step, quads);
    let steps = if lanes > 1 { WORD_STEPS } else { STEPS };
    launch.define("STEPS", steps);
    launch.view("X", x);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP * lanes * steps))])
}
