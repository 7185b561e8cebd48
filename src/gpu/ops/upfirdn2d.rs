//! Host side of `kernels/upfirdn2d.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Upfirdn2d;
use crate::plan::{Plan, Step};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Filtered resampling.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Upfirdn2d { kernel, up, down, padding } = *step.op()?;
    let x = step.x()?;
    let [kh, kw] = plan.graph.param(kernel).dims[..] else {
        return Err(step.misfit("its filter is not [kh, kw]"));
    };
    let mut launch = Builder::new(plan, "upfirdn2d");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("UP", up);
    launch.define("DOWN", down);
    launch.define("KH", kh);
    launch.define("KW", kw);
    launch.view("X", x);
    launch.int("x_height", x.shape.h as i32);
    launch.int("x_width", x.shape.w as i32);
    launch.int("top", padding.top);
    launch.int("left", padding.left);
    launch.values(vec![kernel]);
    launch.flag("X_EIGHTS", x.blocked);
    let lanes = epilogue::lanes(&mut launch, step, false);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(step.output.shape.len().div_ceil(WORKGROUP * lanes))])
}
