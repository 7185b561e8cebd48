//! Host side of `kernels/reflect_pad.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::ReflectPad;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Mirrored borders.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let ReflectPad(padding) = *step.op()?;
    let x = step.x()?;
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
