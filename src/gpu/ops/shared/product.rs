//! Host side of `kernels/shared/product_params.wgsl`: which pixels, channels and taps are
//! multiplied.

use super::{epilogue, load};
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{PANEL_ROWS, Product, Step, Weight};

/// Binds what `product` of `step` reads and writes, and its packed weights, and finishes a launch of
/// `tiles` workgroups for each group of each picture.
pub fn finish(
    mut launch: Builder<'_>,
    product: &Product,
    weights: Vec<Weight>,
    step: &Step,
    tiles: usize,
) -> Result<Dispatch> {
    launch.define("PANEL_ROWS", PANEL_ROWS);
    load::bind(&mut launch, step.x()?, product.upsample, product.style);
    launch.uint("batch", product.batch);
    launch.uint("groups", product.groups);
    launch.uint("first_input", product.first_input);
    launch.uint("group_inputs", product.group_inputs);
    launch.uint("first_output", product.first_output);
    launch.uint("group_outputs", product.group_outputs);
    launch.uint("rows", product.size[0]);
    launch.uint("columns", product.size[1]);
    launch.int("stride", product.stride as i32);
    launch.int("step", product.step);
    launch.int("top", product.corner[0]);
    launch.int("left", product.corner[1]);
    launch.uint("taps", product.taps);
    launch.uint("first_tap", product.first_tap);
    launch.uint("tap_rows", product.used_taps[0]);
    launch.uint("tap_columns", product.used_taps[1]);
    launch.uint("tap_row_step", product.tap_steps[0]);
    launch.uint("tap_column_step", product.tap_steps[1]);
    launch.uint("phases", product.phases);
    launch.uint("phase_row", product.phase[0]);
    launch.uint("phase_column", product.phase[1]);
    launch.weights(weights);
    // Pixels of a phase do not lie side by side, but its channels do.
    launch.flag("IN_QUADS", product.phases == 1 && step.in_quads());
    epilogue::bind(&mut launch, step);
    Ok(launch.finish(tiles * product.groups * product.batch))
}
