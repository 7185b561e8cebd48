//! Host side of `kernels/pixel_unshuffle.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::PixelUnshuffle;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Space to depth.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let PixelUnshuffle(factor) = *step.op()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "pixel_unshuffle");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("FACTOR", factor);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
