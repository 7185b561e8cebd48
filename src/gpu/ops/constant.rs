//! Host side of `kernels/constant.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Constant;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// A parameter, repeated over the batch.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Constant { value, .. } = *step.op()?;
    let mut launch = Builder::new(plan, "constant");
    launch.define("WORKGROUP", WORKGROUP);
    launch.values(vec![value]);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
