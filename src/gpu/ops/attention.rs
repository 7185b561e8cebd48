//! Host side of `kernels/attention.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Attention;
use crate::plan::{Plan, Step};

/// Queries, and channels, of a workgroup.
const SIDE: usize = 64;
/// Keys, or channels, that are staged at a time.
const DEPTH: usize = 16;

/// Softmax attention.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Attention { heads } = *step.op()?;
    let [query, key, value] = [step.x()?, step.operand(1)?, step.operand(2)?];
    let (queries, width) = (query.shape.plane(), query.shape.c / heads);
    let mut launch = Builder::new(plan, "attention");
    launch.tile([SIDE, SIDE], DEPTH);
    launch.view("QUERY", query);
    launch.view("KEY", key);
    launch.view("VALUE", value);
    launch.uint("heads", heads);
    launch.uint("width", width);
    launch.uint("queries", queries);
    launch.uint("keys", key.shape.plane());
    launch.float("scale", (width as f32).sqrt().recip());
    epilogue::bind(&mut launch, step);
    let blocks = queries.div_ceil(SIDE) * width.div_ceil(SIDE);
    Ok(vec![launch.finish(query.shape.n * heads * blocks)])
}
