//! Host side of `kernels/conv_winograd_{input,product,output}.wgsl`.

use super::shared::{epilogue, load};
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{
    Convolution, Layout, PANEL_ROWS, Plan, Step, View, WINOGRAD_BLOCK, WINOGRAD_POINTS,
    WINOGRAD_TILE, WINOGRAD_VALUES, Weight, WinogradScratch,
};
use crate::tensor::Shape;

/// Channels of the product that are staged at a time.
const DEPTH: usize = 16;

/// Defines the blocks of tiles and the points of `kernels/shared/winograd.wgsl`.
fn define(launch: &mut Builder<'_>) {
    launch.define("BLOCK", WINOGRAD_BLOCK);
    for (name, point) in ["A", "B"].into_iter().zip(WINOGRAD_POINTS) {
        launch.define(name, point);
    }
}

/// 3×3 convolutions of stride 1 in the domain of F(4×4, 3×3), a chunk of tiles at a time: the
/// transformed inputs, their products with the transformed weight, the outputs.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Convolution { conv, style, .. } = step.convolution()?;
    let scratch = step.scratch.ok_or_else(|| step.misfit("it has no working memory"))?;
    let x = step.x()?;
    let y = step.output.shape;
    let sizes = WinogradScratch::new(step, &plan.target);
    let part = |offset: usize, len: usize| View {
        offset: scratch.offset + offset,
        batch_stride: len,
        shape: Shape::vector(1, len),
        ..scratch
    };
    let transformed = part(0, sizes.inputs_len());
    let products = part(sizes.inputs_len(), sizes.products_len());
    let tile_columns = y.w.div_ceil(WINOGRAD_TILE);
    let tile_rows = y.h.div_ceil(WINOGRAD_TILE);
    let row_blocks = y.c.div_ceil(PANEL_ROWS);

    let mut dispatches = Vec::new();
    for first in (0..sizes.tiles).step_by(sizes.chunk) {
        let blocks = (sizes.tiles - first).min(sizes.chunk).div_ceil(WINOGRAD_BLOCK);
        let tiles = |launch: &mut Builder<'_>| {
            launch.uint("tiles", sizes.tiles);
            launch.uint("first_tile", first);
            launch.uint("tile_rows", tile_rows);
            launch.uint("tile_columns", tile_columns);
        };

        let mut launch = Builder::new(plan, "conv_winograd_input");
        define(&mut launch);
        load::bind(&mut launch, x, step.upsample, style);
        launch.view("V", transformed);
        launch.uint("frequency_stride", sizes.inputs_stride);
        tiles(&mut launch);
        launch.int("top", conv.padding.top);
        launch.int("left", conv.padding.left);
        dispatches.push(launch.finish(blocks * x.shape.c));

        let mut launch = Builder::new(plan, "conv_winograd_product");
        launch.tile([PANEL_ROWS, WINOGRAD_BLOCK], DEPTH);
        launch.define("PASSES", DEPTH * PANEL_ROWS / 4 / (PANEL_ROWS * WINOGRAD_BLOCK / 64));
        launch.weight(Weight { param: conv.weight, layout: Layout::Winograd });
        launch.view("V", transformed);
        launch.view("M", products);
        launch.uint("inputs", x.shape.c);
        launch.uint("outputs", y.c);
        launch.uint("row_blocks", row_blocks);
        launch.uint("column_blocks", blocks);
        launch.uint("inputs_stride", sizes.inputs_stride);
        launch.uint("products_stride", sizes.products_stride);
        dispatches.push(launch.finish(row_blocks * blocks * WINOGRAD_VALUES));

        let mut launch = Builder::new(plan, "conv_winograd_output");
        define(&mut launch);
        launch.view("M", products);
        launch.uint("frequency_stride", sizes.products_stride);
        tiles(&mut launch);
        launch.flag("IN_QUADS", step.in_quads());
        epilogue::bind(&mut launch, step);
        dispatches.push(launch.finish(blocks * y.c));
    }
    Ok(dispatches)
}
