//! Host side of `kernels/conv_gemm.wgsl`.

use super::shared::product;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{GemmTile, Plan, Product, Step, Variant, products};

/// One launch per product of matrices.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let products = products(step, &plan.graph)?;
    let Variant::ConvGemm(tiles) = &step.variant else {
        return Err(step.misfit("it has no tiles"));
    };
    if tiles.len() != products.len() {
        return Err(step.misfit("it has another number of tiles"));
    }
    let launch = |(tile, product): (&GemmTile, &Product)| {
        let GemmTile { rows, columns, splits } = *tile;
        let mut launch = Builder::new(plan, "conv_gemm");
        if splits > 1 {
            launch.define("SPLITS", splits);
        }
        launch.tile([rows, columns], GemmTile::DEPTH);
        launch.define("U_PASSES", GemmTile::DEPTH * rows / 4 / tile.threads());
        launch.define("V_PASSES", GemmTile::DEPTH * columns / 4 / tile.threads());
        let tiles = product.group_outputs.div_ceil(rows) * product.pixels().div_ceil(columns);
        product::finish(launch, product, vec![product.panels()], step, tiles)
    };
    tiles.iter().zip(&products).map(launch).collect()
}
