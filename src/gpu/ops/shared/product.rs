//! Host side of `kernels/shared/product_params.wgsl`: which pixels, channels and taps are
//! multiplied.

use super::{epilogue, load};
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{Product, Step};

/// Binds what `product` of `step` reads and writes, and finishes a launch of tiles of
/// `rows × columns`.
pub fn finish(
    mut launch: Builder<'_>,
    product: &Product,
    step: &Step,
    [rows, columns]: [usize; 2],
) -> Result<Dispatch> {
    load::bind(&mut launch, step.x()?, product.upsample, product.style);
    launch.uint(product.batch);
    launch.uint(product.groups);
    launch.uint(product.first_input);
    launch.uint(product.group_inputs);
    launch.uint(product.first_output);
    launch.uint(product.group_outputs);
    launch.uint(product.size[0]);
    launch.uint(product.size[1]);
    launch.uint(product.stride);
    launch.int(product.step);
    launch.int(product.corner[0]);
    launch.int(product.corner[1]);
    launch.uint(product.taps);
    launch.uint(product.first_tap);
    launch.uint(product.used_taps[0]);
    launch.uint(product.used_taps[1]);
    launch.uint(product.tap_steps[0]);
    launch.uint(product.tap_steps[1]);
    launch.uint(product.phases);
    launch.uint(product.phase[0]);
    launch.uint(product.phase[1]);
    launch.weight(product.packed());
    epilogue::bind(&mut launch, step);
    let row_blocks = product.group_outputs.div_ceil(rows) * product.groups;
    Ok(launch.finish(row_blocks * product.pixels().div_ceil(columns) * product.batch))
}
