//! Host side of `kernels/pixel_unshuffle.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Space to depth.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::PixelUnshuffle(factor) = step.compute else {
        return Err(misfit(step, "it is no pixel_unshuffle"));
    };
    let x = input(step)?;
    let mut launch = Builder::new(plan, "pixel_unshuffle");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("FACTOR", factor);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
