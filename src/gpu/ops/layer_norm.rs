//! Host side of `kernels/layer_norm.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::{Builder, pixel_blocks};
use crate::graph::ops::LayerNorm;
use crate::plan::{Plan, Step};

/// Normalised pixels.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let LayerNorm { epsilon, weight } = *step.op()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "layer_norm");
    launch.view("X", x);
    launch.float(epsilon);
    launch.values(vec![weight]);
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(pixel_blocks(x.shape))])
}
