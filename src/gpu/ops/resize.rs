//! Host side of `kernels/resize.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::Interpolation;
use crate::graph::ops::Resize;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// To the output's size.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Resize { interpolation, step: distance, .. } = *step.op()?;
    let x = step.x()?;
    let y = step.output.shape;
    let corners = |from: usize, to: usize| match to {
        1 => 0.0,
        _ => (from - 1) as f32 / (to - 1) as f32,
    };
    let (name, [step_h, step_w]) = match interpolation {
        Interpolation::Nearest => ("nearest", distance),
        Interpolation::Bilinear => ("bilinear", distance),
        Interpolation::BilinearAlignCorners => {
            ("align_corners", [corners(x.shape.h, y.h), corners(x.shape.w, y.w)])
        }
    };
    let mut launch = Builder::new(plan, "resize");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("INTERPOLATION", name);
    launch.view("X", x);
    launch.uint("x_height", x.shape.h);
    launch.uint("x_width", x.shape.w);
    launch.float("step_h", step_h);
    launch.float("step_w", step_w);
    launch.flag("X_EIGHTS", x.blocked);
    let lanes = epilogue::lanes(&mut launch, step, step.in_quads());
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.len().div_ceil(WORKGROUP * lanes))])
}
