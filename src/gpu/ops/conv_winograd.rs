//! Host side of `kernels/conv_winograd_{input,product,output}.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue, load};
use crate::plan::{
    Compute, Layout, PANEL_ROWS, Plan, Step, View, WINOGRAD_BLOCK, WINOGRAD_TILE, WINOGRAD_VALUES,
    Weight, WinogradScratch,
};
use crate::tensor::Shape;

/// 3×3 convolutions of stride 1 in the domain of F(4×4, 3×3), a chunk of tiles at a time: the
/// transformed inputs, their products with the transformed weight, the outputs.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Conv { conv, upsample, style } = &step.compute else {
        return Err(misfit(step, "conv_winograd computes convolutions"));
    };
    let scratch = step.scratch.ok_or_else(|| misfit(step, "it has no working memory"))?;
    let x = input(step)?;
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
            launch.uint(sizes.tiles);
            launch.uint(first);
            launch.uint(tile_rows);
            launch.uint(tile_columns);
        };

        let mut launch = Builder::new(plan, "conv_winograd_input");
        load::bind(&mut launch, x, *upsample, *style);
        launch.view("V", transformed);
        launch.uint(sizes.inputs_stride);
        tiles(&mut launch);
        launch.int(conv.padding.top);
        launch.int(conv.padding.left);
        dispatches.push(launch.finish(blocks * x.shape.c));

        let mut launch = Builder::new(plan, "conv_winograd_product");
        launch.weight(Weight { param: conv.weight, layout: Layout::Winograd });
        launch.view("V", transformed);
        launch.view("M", products);
        launch.uint(x.shape.c);
        launch.uint(y.c);
        launch.uint(row_blocks);
        launch.uint(blocks);
        launch.uint(sizes.inputs_stride);
        launch.uint(sizes.products_stride);
        dispatches.push(launch.finish(row_blocks * blocks * WINOGRAD_VALUES));

        let mut launch = Builder::new(plan, "conv_winograd_output");
        launch.view("M", products);
        launch.uint(sizes.products_stride);
        tiles(&mut launch);
        epilogue::bind(&mut launch, step);
        dispatches.push(launch.finish(blocks * y.c));
    }
    Ok(dispatches)
}
