//! Host side of `kernels/reflect_pad.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Mirrored borders.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::ReflectPad(padding) = step.compute else {
        return Err(misfit(step, "it is no reflect_pad"));
    };
    let x = input(step)?;
    let mut launch = Builder::new(plan, "reflect_pad");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    launch.int("top", padding.top);
    launch.int("left", padding.left);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
