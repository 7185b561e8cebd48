//! Host side of `kernels/window_attention.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::WindowAttention;
use crate::plan::{Plan, Step, Variant, WindowTile};

/// Softmax attention in windows.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let WindowAttention { heads, window, offset, margin, bias } = *step.op()?;
    let Variant::WindowAttention(Some(tile)) = step.variant else {
        return Err(step.misfit("it has no tile"));
    };
    let [query, key, value] = [step.x()?, step.operand(1)?, step.operand(2)?];
    let shape = query.shape;
    let width = shape.c / heads;
    let mut launch = Builder::new(plan, "window_attention");
    launch.define("WORDS", width.div_ceil(4));
    launch.define("KEYS", tile.keys);
    launch.view("QUERY", query);
    launch.view("KEY", key);
    launch.view("VALUE", value);
    launch.uint("heads", heads);
    launch.uint("width", width);
    launch.uint("window_rows", window[0]);
    launch.uint("window_columns", window[1]);
    launch.uint("offset_rows", offset[0]);
    launch.uint("offset_columns", offset[1]);
    launch.uint("margin", margin);
    launch.float("scale", (width as f32).sqrt().recip());
    launch.values(vec![bias]);
    epilogue::bind(&mut launch, step);
    let down = (shape.h + offset[0]).div_ceil(window[0]);
    let across = (shape.w + offset[1]).div_ceil(window[1]);
    let blocks = (window[0] * window[1]).div_ceil(WindowTile::QUERIES);
    Ok(vec![launch.finish(shape.n * heads * down * across * blocks)])
}
