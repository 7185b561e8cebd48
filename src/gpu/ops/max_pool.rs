//! Host side of `kernels/max_pool.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// The largest value of each window.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::MaxPool2d { kernel, stride, padding } = step.compute else {
        return Err(misfit(step, "it is no max_pool"));
    };
    let x = input(step)?;
    let mut launch = Builder::new(plan, "max_pool");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("KERNEL", kernel);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    launch.uint("stride", stride);
    launch.uint("padding", padding);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
