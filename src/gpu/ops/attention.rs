//! Host side of `kernels/attention.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Attention;
use crate::plan::{Plan, Step};

/// Queries, and channels, of a workgroup.
const SIDE: usize = 64;

/// Softmax attention.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Attention { heads } = *step.op()?;
    let [query, key, value] = [step.x()?, step.operand(1)?, step.operand(2)?];
    let (queries, width) = (query.shape.plane(), query.shape.c / heads);
    let mut launch = Builder::new(plan, "attention");
    launch.view("QUERY", query);
    launch.view("KEY", key);
    launch.view("VALUE", value);
    launch.uint(heads);
    launch.uint(width);
    launch.uint(queries);
    launch.uint(key.shape.plane());
    launch.float((width as f32).sqrt().recip());
    epilogue::bind(&mut launch, step);
    let blocks = queries.div_ceil(SIDE) * width.div_ceil(SIDE);
    Ok(vec![launch.finish(query.shape.n * heads * blocks)])
}
