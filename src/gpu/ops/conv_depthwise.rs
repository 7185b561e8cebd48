//! Host side of `kernels/conv_depthwise.wgsl`.

use super::shared::{epilogue, load};
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{Convolution, Layout, Plan, Step, Weight};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;
/// Output rows per invocation.
const ROWS: usize = 4;

/// A convolution with one input and one output channel per group.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Convolution { conv, style, .. } = step.convolution()?;
    let x = step.x()?;
    let y = step.output.shape;
    let [o, 1, kh, kw] = plan.graph.param(conv.weight).dims[..] else {
        return Err(step.misfit("its weight is not [C, 1, kh, kw]"));
    };
    if o != conv.groups {
        return Err(step.misfit("it has several outputs per group"));
    }
    let mut launch = Builder::new(plan, "conv_depthwise");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("ROWS", ROWS);
    launch.define("KH", kh);
    launch.define("KW", kw);
    launch.define("STRIDE", conv.stride);
    launch.define("DILATION", conv.dilation);
    launch.define("SPAN", (ROWS - 1) * conv.stride + (kh - 1) * conv.dilation + 1);
    load::bind(&mut launch, x, step.upsample, style);
    launch.int("top", conv.padding.top);
    launch.int("left", conv.padding.left);
    launch.weight(Weight { param: conv.weight, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish((y.n * y.c * y.h.div_ceil(ROWS) * y.w).div_ceil(WORKGROUP))])
}
