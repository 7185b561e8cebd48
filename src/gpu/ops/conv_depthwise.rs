//! Host side of `kernels/conv_depthwise.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue, load};
use crate::plan::{Compute, Layout, Plan, Step, Weight};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;
/// Output rows per invocation.
const ROWS: usize = 4;

/// A convolution with one input and one output channel per group.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Conv { conv, upsample, style } = &step.compute else {
        return Err(misfit(step, "conv_depthwise computes convolutions"));
    };
    let x = input(step)?;
    let y = step.output.shape;
    let [o, 1, kh, kw] = plan.graph.param(conv.weight).dims[..] else {
        return Err(misfit(step, "its weight is no [C, 1, kh, kw]"));
    };
    if o != conv.groups {
        return Err(misfit(step, "it has several outputs per group"));
    }
    let mut launch = Builder::new(plan, "conv_depthwise");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("ROWS", ROWS);
    launch.define("KH", kh);
    launch.define("KW", kw);
    launch.define("STRIDE", conv.stride);
    launch.define("DILATION", conv.dilation);
    launch.define("SPAN", (ROWS - 1) * conv.stride + (kh - 1) * conv.dilation + 1);
    load::bind(&mut launch, x, *upsample, *style);
    launch.int("top", conv.padding.top);
    launch.int("left", conv.padding.left);
    launch.weight(Weight { param: conv.weight, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish((y.n * y.c * y.h.div_ceil(ROWS) * y.w).div_ceil(WORKGROUP))])
}
