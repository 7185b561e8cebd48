//! Host side of `kernels/pixel_norm.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::PixelNorm;
use crate::plan::{Plan, Step};

/// Invocations per workgroup, a power of two.
const WORKGROUP: usize = 64;

/// Vectors of mean square 1.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    step.op::<PixelNorm>()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "pixel_norm");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(x.shape.n)])
}
