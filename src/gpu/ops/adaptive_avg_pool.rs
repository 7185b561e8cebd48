//! Host side of `kernels/adaptive_avg_pool.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Invocations per workgroup, a power of two.
const WORKGROUP: usize = 64;

/// The mean of each window.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::AdaptiveAvgPool2d = step.compute else {
        return Err(misfit(step, "it is no adaptive_avg_pool"));
    };
    let x = input(step)?;
    let mut launch = Builder::new(plan, "adaptive_avg_pool");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len())])
}
