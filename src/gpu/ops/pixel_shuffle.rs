//! Host side of `kernels/pixel_shuffle.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Depth to space.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::PixelShuffle(factor) = step.compute else {
        return Err(misfit(step, "it is no pixel_shuffle"));
    };
    let x = input(step)?;
    let mut launch = Builder::new(plan, "pixel_shuffle");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("FACTOR", factor);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
