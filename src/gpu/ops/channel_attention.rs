//! Host side of `kernels/channel_attention_scores.wgsl` and `kernels/channel_attention.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::ChannelAttention;
use crate::plan::{Plan, Step};

/// Invocations that sum eight scores, a power of two.
const SCORES_WORKGROUP: usize = 256;
/// Scores of such a workgroup.
const SCORES: usize = 8;
/// Invocations of the second launch, and values that each computes: enough that sharing the softmax
/// costs little.
const WORKGROUP: usize = 64;
const STEPS: usize = 8;

/// Scores of channels, then the weighted sums.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let ChannelAttention { heads, temperature } = *step.op()?;
    let Some(scores) = step.scratch else {
        return Err(step.misfit("it has no working memory"));
    };
    let [query, key, value] = [step.x()?, step.operand(1)?, step.operand(2)?];
    let shape = query.shape;
    let width = shape.c / heads;

    let mut first = Builder::new(plan, "channel_attention_scores");
    first.define("WORKGROUP", SCORES_WORKGROUP);
    first.view("QUERY", query);
    first.view("KEY", key);
    first.view("SCORES", scores);
    first.uint("batch", shape.n);
    first.uint("channels", shape.c);
    first.uint("width", width);
    first.uint("pixels", shape.plane());
    first.values(vec![temperature]);

    let mut second = Builder::new(plan, "channel_attention");
    second.define("WORKGROUP", WORKGROUP);
    second.define("STEPS", STEPS);
    second.define("WIDTH", width);
    second.view("VALUE", value);
    second.view("SCORES", scores);
    epilogue::bind(&mut second, step);
    let blocks = shape.plane().div_ceil(STEPS * WORKGROUP);
    let rows = shape.n * shape.c;
    Ok(vec![first.finish(rows * width.div_ceil(SCORES)), second.finish(rows * blocks)])
}
