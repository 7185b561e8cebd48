//! Host side of `kernels/conv_direct.wgsl`.

use super::shared::{epilogue, load};
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{BLOCK, Convolution, DirectTile, Layout, Plan, Step, Variant, Weight};

/// Any convolution.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Convolution { conv, style, .. } = step.convolution()?;
    let Variant::ConvDirect(tile) = step.variant else {
        return Err(step.misfit("it has no tile"));
    };
    let x = step.x()?;
    let y = step.output.shape;
    let [o, i, kh, kw] = plan.graph.param(conv.weight).dims[..] else {
        return Err(step.misfit("its weight is not [O, I, kh, kw]"));
    };
    let group_outputs = o / conv.groups;

    let mut launch = Builder::new(plan, "conv_direct");
    if tile.parts > 1 {
        launch.define("PARTS", tile.parts);
    }
    launch.define("WORKGROUP", tile.workgroup());
    launch.define("OUT", tile.outputs);
    launch.flag("X_EIGHTS", x.blocked);
    launch.define("CHANNELS", if x.blocked { BLOCK } else { 1 });
    let eights = step.output.blocked && tile.outputs == BLOCK && tile.parts == 1;
    launch.flag("EIGHTS", eights);
    launch.define("ROWS", DirectTile::ROWS);
    launch.define("KH", kh);
    launch.define("KW", kw);
    launch.define("STRIDE", conv.stride);
    launch.define("DILATION", conv.dilation);
    launch.define("SPAN", (DirectTile::ROWS - 1) * conv.stride + (kh - 1) * conv.dilation + 1);
    load::bind(&mut launch, x, step.upsample, style);
    launch.uint("groups", conv.groups);
    launch.uint("group_inputs", i);
    launch.uint("group_outputs", group_outputs);
    launch.int("top", conv.padding.top);
    launch.int("left", conv.padding.left);
    launch.weight(Weight { param: conv.weight, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);

    let pixels = tile.workgroup() / tile.parts;
    let tiles = (y.h.div_ceil(DirectTile::ROWS) * y.w).div_ceil(pixels);
    Ok(vec![launch.finish(tiles * group_outputs.div_ceil(tile.outputs) * conv.groups * y.n)])
}
