//! Host side of `kernels/conv_patch_cooperative.wgsl`.

use super::shared::product;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{PatchTile, Plan, Product, SLAB, Step, Variant, products};

/// One launch per product of matrices.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let products = products(step, &plan.graph)?;
    let Variant::ConvPatchCooperative(tiles) = &step.variant else {
        return Err(step.misfit("it has no tiles"));
    };
    if tiles.len() != products.len() {
        return Err(step.misfit("it has another number of tiles"));
    }
    let launch = |(tile, product): (&PatchTile, &Product)| {
        let mut launch = Builder::new(plan, "conv_patch_cooperative");
        define(&mut launch, tile, product, step.x()?.blocked);
        launch.flag("EIGHTS", step.output.blocked);
        product::finish(launch, product, vec![product.slabs()], step, tile.tiles(product))
    };
    tiles.iter().zip(&products).map(launch).collect()
}

/// With `eights` an invocation stages eight channels of a pixel at a time, without four.
fn define(launch: &mut Builder<'_>, tile: &PatchTile, product: &Product, eights: bool) {
    let threads = tile.threads();
    launch.define("ROWS", tile.rows);
    launch.define("TILE_ROWS", tile.height);
    launch.define("TILE_COLUMNS", PatchTile::COLUMNS);
    launch.define("TAP_ROWS", product.used_taps[0]);
    launch.define("TAP_COLUMNS", product.used_taps[1]);
    launch.define("DILATION", product.step);
    launch.define("PATCH_ROWS", tile.patch[0]);
    launch.define("PATCH_COLUMNS", tile.patch[1]);
    let word = if eights { 8 } else { 4 };
    launch.flag("X_EIGHTS", eights);
    launch.define("WORD_QUADS", word / 4);
    launch.define("PATCH_WORDS", tile.words(tile.patch, word));
    launch.define("HELD_WORDS", tile.words(tile.source.unwrap_or(tile.patch), word));
    if let Some([rows, columns]) = tile.source {
        launch.define("SOURCE_ROWS", rows);
        launch.define("SOURCE_COLUMNS", columns);
    }
    launch.define("FRAGMENT", tile.side);
    launch.define("FRAGMENT_ROWS", tile.part[0] / tile.side);
    launch.define("FRAGMENT_COLUMNS", tile.part[1] / tile.side);
    launch.define("SLAB", SLAB);
    launch.define("SLAB_FRAGMENTS", SLAB / tile.side);
    launch.define("SLOTS", tile.slots());
    launch.define("ROUND", tile.round);
    launch.define("THREADS", threads);
    launch.define("U_PAIRS", (tile.rows * SLAB / 8).div_ceil(threads));
}
