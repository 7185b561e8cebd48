//! Host side of `kernels/arg_max.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::ArgMax;
use crate::plan::{Plan, Step};

/// The largest channel of each pixel.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    step.op::<ArgMax>()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "arg_max");
    launch.view("X", x);
    launch.uint("x_channels", x.shape.c);
    epilogue::bind(&mut launch, step);
    let workgroups = launch.pixel_columns(x.shape);
    Ok(vec![launch.finish(workgroups)])
}
