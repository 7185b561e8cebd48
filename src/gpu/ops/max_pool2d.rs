//! Host side of `kernels/max_pool2d.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::MaxPool2d;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// The largest value of each window.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let MaxPool2d { kernel, stride, padding } = *step.op()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "max_pool2d");
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
