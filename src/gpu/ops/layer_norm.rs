//! Host side of `kernels/layer_norm.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::LayerNorm;
use crate::plan::{Plan, Step};

/// Normalised pixels.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let LayerNorm { epsilon, weight } = *step.op()?;
    let x = step.x()?;
    let mut launch = Builder::new(plan, "layer_norm");
    launch.view("X", x);
    launch.float("epsilon", epsilon);
    launch.values(vec![weight]);
    epilogue::bind(&mut launch, step);
    let workgroups = launch.pixel_columns(x.shape);
    Ok(vec![launch.finish(workgroups)])
}
