//! Host side of `kernels/conv_direct.wgsl`.

use super::work::Work;
use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue, load};
use crate::plan::{Compute, Layout, Plan, Step, Target, Weight};

/// Invocations per workgroup, each with pixels of its own.
const WORKGROUP: usize = 64;
/// Invocations that share the channels of the same pixels where there are few pixels.
const PARTS: usize = 16;
/// Invocations per workgroup then.
const SHARED_WORKGROUP: usize = 256;
/// Tiles of 64 × 64 of a picture below which they do.
const FEW_TILES: usize = 2048;
/// Output rows per invocation.
const ROWS: usize = 4;
/// Output channels per invocation at most: with 4 rows, 32 sums and as many registers.
const MAX_OUT: usize = 8;
/// Unrolled multiplications of four rows per invocation and kernel column at most; bounds the
/// length of the shader for large kernels.
const MAX_UNROLLED: usize = 64;

/// Whether the channels of `work` are shared, and the device has room for the sums of `out` of them.
fn shares(work: Work, out: usize, target: &Target) -> bool {
    work.shares_depth(FEW_TILES)
        && SHARED_WORKGROUP <= target.max_invocations
        && out * SHARED_WORKGROUP * size_of::<[f32; ROWS]>() <= target.workgroup_memory
}

/// Any convolution.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Conv { conv, upsample, style } = &step.compute else {
        return Err(misfit(step, "conv_direct computes convolutions"));
    };
    let x = input(step)?;
    let y = step.output.shape;
    let [o, i, kh, kw] = plan.graph.param(conv.weight).dims[..] else {
        return Err(misfit(step, "its weight is no [O, I, kh, kw]"));
    };
    let group_outputs = o / conv.groups;
    let out = group_outputs.next_power_of_two().min(MAX_OUT).min((MAX_UNROLLED / kh).max(1));

    let mut launch = Builder::new(plan, "conv_direct");
    let work = Work {
        rows: group_outputs,
        columns: y.h * y.w,
        inputs: i,
        groups: conv.groups,
        batch: y.n,
    };
    let (workgroup, parts) = if shares(work, out, &plan.target) {
        launch.define("PARTS", PARTS);
        (SHARED_WORKGROUP, PARTS)
    } else {
        (WORKGROUP, 1)
    };
    launch.define("WORKGROUP", workgroup);
    launch.define("OUT", out);
    launch.define("KH", kh);
    launch.define("KW", kw);
    launch.define("STRIDE", conv.stride);
    launch.define("DILATION", conv.dilation);
    launch.define("SPAN", (ROWS - 1) * conv.stride + (kh - 1) * conv.dilation + 1);
    load::bind(&mut launch, x, *upsample, *style);
    launch.uint(conv.groups);
    launch.uint(i);
    launch.uint(group_outputs);
    launch.int(conv.padding.top);
    launch.int(conv.padding.left);
    launch.weight(Weight { param: conv.weight, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);

    let tiles = (y.h.div_ceil(ROWS) * y.w).div_ceil(workgroup / parts);
    Ok(vec![launch.finish(tiles * group_outputs.div_ceil(out) * conv.groups * y.n)])
}
