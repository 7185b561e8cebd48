//! Host side of `kernels/conv_gemm_cooperative.wgsl`.

use super::shared::product;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{CooperativeTile, Plan, Product, SLAB, Step, Variant, products};

/// One launch per product of matrices.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let products = products(step, &plan.graph)?;
    let Variant::ConvGemmCooperative(tiles) = &step.variant else {
        return Err(step.misfit("it has no tiles"));
    };
    if tiles.len() != products.len() {
        return Err(step.misfit("it has another number of tiles"));
    }
    let launch = |(tile, product): (&CooperativeTile, &Product)| {
        let mut launch = Builder::new(plan, "conv_gemm_cooperative");
        define(&mut launch, tile);
        let [rows, columns] = [tile.rows, tile.columns];
        let workgroups = product.group_outputs.div_ceil(rows) * product.pixels().div_ceil(columns);
        product::finish(launch, product, product.slabs(), step, workgroups)
    };
    tiles.iter().zip(&products).map(launch).collect()
}

fn define(launch: &mut Builder<'_>, tile: &CooperativeTile) {
    let threads = tile.threads();
    launch.define("ROWS", tile.rows);
    launch.define("COLUMNS", tile.columns);
    launch.define("DEPTH", tile.depth);
    launch.define("FRAGMENT", tile.side);
    launch.define("FRAGMENT_ROWS", tile.part[0] / tile.side);
    launch.define("FRAGMENT_COLUMNS", tile.part[1] / tile.side);
    launch.define("DEPTH_FRAGMENTS", tile.depth / tile.splits / tile.side);
    if tile.splits > 1 {
        launch.define("SPLITS", tile.splits);
    }
    launch.define("SLAB", SLAB);
    launch.define("SLOTS", tile.slots());
    launch.define("THREADS", threads);
    launch.define("U_QUADS", tile.depth * tile.rows / 4 / threads);
    launch.define("V_QUADS", tile.depth * tile.columns / 4 / threads);
}
