//! Host side of `kernels/adaptive_avg_pool2d.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::AdaptiveAvgPool2d;
use crate::plan::{Plan, Step};

/// Invocations per workgroup, a power of two.
const WORKGROUP: usize = 64;

/// The mean of each window.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    step.op::<AdaptiveAvgPool2d>()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "adaptive_avg_pool2d");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len())])
}
