//! Host side of `kernels/constant.wgsl`.

use super::{Builder, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// A parameter, repeated over the batch.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Constant(value) = step.compute else {
        return Err(misfit(step, "constant yields parameters"));
    };
    let mut launch = Builder::new(plan, "constant");
    launch.define("WORKGROUP", WORKGROUP);
    launch.values(vec![value]);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
