//! Host side of `kernels/arg_max.wgsl`.

use super::{Builder, input, pixel_blocks};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Plan, Step};

/// The largest channel of each pixel.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let x = input(step)?;
    let mut launch = Builder::new(plan, "arg_max");
    launch.view("X", x);
    launch.uint(x.shape.c);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(pixel_blocks(x.shape))])
}
