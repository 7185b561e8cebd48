//! Host side of `kernels/window_partition.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::WindowPartition;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Windows to samples, and back.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let WindowPartition { windows, dilated, reverse } = *step.op()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "window_partition");
    launch.define("WORKGROUP", WORKGROUP);
    launch.flag("DILATED", dilated);
    launch.flag("REVERSE", reverse);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    launch.uint("rows", windows[0]);
    launch.uint("columns", windows[1]);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP))])
}
