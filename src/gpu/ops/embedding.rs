//! Host side of `kernels/embedding.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Embedding;
use crate::plan::{Layout, Plan, Step, Weight};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Rows of a table.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Embedding(param) = *step.op()?;
    let x = step.x()?;
    let y = step.output.shape;
    let mut launch = Builder::new(plan, "embedding");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    launch.uint("rows", plan.graph.param(param).dims[0]);
    launch.weight(Weight { param, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.len().div_ceil(WORKGROUP))])
}
