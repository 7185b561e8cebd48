//! Host side of `kernels/arg_max.wgsl`.

use super::{Builder, input};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Plan, Step};

/// The largest channel of each pixel.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let x = input(step)?;
    let mut launch = Builder::new(plan, "arg_max");
    launch.view("X", x);
    launch.uint("x_channels", x.shape.c);
    epilogue::bind(&mut launch, step);
    let workgroups = launch.pixel_columns(x.shape);
    Ok(vec![launch.finish(workgroups)])
}
