//! Host side of `kernels/pixel_shuffle.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::PixelShuffle;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Depth to space.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let PixelShuffle(factor) = *step.op()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "pixel_shuffle");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("FACTOR", factor);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    launch.flag("X_BLOCKS", x.blocked);
    let lanes = epilogue::lanes(&mut launch, step, false);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP * lanes))])
}
