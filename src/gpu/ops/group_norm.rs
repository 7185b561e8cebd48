//! Host side of `kernels/group_norm.wgsl` and `kernels/group_norm_moments.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::GroupNorm;
use crate::plan::{NORM_CHUNKS, NormScratch, Plan, Step};

/// Invocations that sum a chunk, a power of two.
const MOMENTS_WORKGROUP: usize = 256;
/// Values per invocation of the second launch: enough that merging the moments costs little.
const STEPS: usize = 32;

/// Moments of the groups' chunks, then the normalised values.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let GroupNorm { groups, epsilon, weight } = *step.op()?;
    let Some(moments) = step.scratch else {
        return Err(step.misfit("it has no working memory"));
    };
    let x = step.x()?;
    let NormScratch { group, chunk, chunks } = NormScratch::new(x.shape, groups);

    let mut first = Builder::new(plan, "group_norm_moments");
    first.define("WORKGROUP", MOMENTS_WORKGROUP);
    first.view("X", x);
    first.view("MOMENTS", moments);
    first.uint("batch", x.shape.n);
    first.uint("groups", groups);
    first.uint("group", group);
    first.uint("chunk", chunk);
    first.uint("chunks", chunks);

    let mut second = Builder::new(plan, "group_norm");
    second.define("WORKGROUP", NORM_CHUNKS);
    second.define("STEPS", STEPS);
    second.view("X", x);
    second.view("MOMENTS", moments);
    second.uint("groups", groups);
    second.uint("group", group);
    second.uint("chunk", chunk);
    second.uint("chunks", chunks);
    second.float("epsilon", epsilon);
    second.values(vec![weight]);
    epilogue::bind(&mut second, step);
    let blocks = group.div_ceil(STEPS * NORM_CHUNKS);
    Ok(vec![first.finish(x.shape.n * groups * chunks), second.finish(x.shape.n * groups * blocks)])
}
