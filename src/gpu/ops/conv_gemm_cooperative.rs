//! Host side of `kernels/conv_gemm_cooperative.wgsl`.

use super::shared::product;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::plan::{
    CooperativeTile, Plan, Product, SLAB, Step, Variant, are_alike, packed_len, products,
};
use crate::tensor::Dtype;

/// One launch per product of matrices, or one for all paths of a stage that are alike.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let products = products(step, &plan.graph)?;
    let Variant::ConvGemmCooperative(tiles) = &step.variant else {
        return Err(step.misfit("it has no tiles"));
    };
    if tiles.len() != products.len() {
        return Err(step.misfit("it has another number of tiles"));
    }
    let launch = |tile: &CooperativeTile, paths: &[Product]| {
        let product = paths.first().ok_or_else(|| step.misfit("it has no product"))?;
        let mut launch = Builder::new(plan, "conv_gemm_cooperative");
        define(&mut launch, tile, step.x()?.blocked);
        launch.flag("EIGHTS", step.output.blocked);
        if paths.len() > 1 {
            define_paths(&mut launch, paths);
        }
        let [rows, columns] = [tile.rows, tile.columns];
        let workgroups = product.group_outputs.div_ceil(rows) * product.pixels().div_ceil(columns);
        let weights = paths.iter().map(Product::slabs).collect();
        product::finish(launch, product, weights, step, workgroups * paths.len())
    };
    let bytes = |path: &Product| {
        packed_len(plan.graph.param(path.weight), path.slabs().layout) * Dtype::F16.size()
    };
    let fit = products.iter().map(bytes).sum::<usize>() <= plan.target.max_binding;
    match tiles.split_first() {
        Some((first, others))
            if fit && are_alike(&products) && others.iter().all(|tile| tile == first) =>
        {
            Ok(vec![launch(first, &products)?])
        }
        _ => {
            let each = tiles.iter().zip(products.chunks(1));
            each.map(|(tile, product)| launch(tile, product)).collect()
        }
    }
}

/// What tells paths that are alike from each other, in their order.
fn define_paths(launch: &mut Builder<'_>, paths: &[Product]) {
    let list = |each: fn(&Product) -> String| paths.iter().map(each).collect::<Vec<_>>().join(", ");
    launch.define("PATHS", paths.len());
    launch.define("FIRST_INPUT", list(|path| format!("{}u", path.first_input)));
    launch.define("FIRST_OUTPUT", list(|path| format!("{}u", path.first_output)));
    launch.define("STEP", list(|path| path.step.to_string()));
    launch.define("CORNER", list(|path| path.corner[0].to_string()));
}

/// With `eights` an invocation stages eight channels of a pixel at a time, without four.
fn define(launch: &mut Builder<'_>, tile: &CooperativeTile, eights: bool) {
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
    launch.flag("X_EIGHTS", eights);
    let word = if eights { 8 } else { 4 };
    launch.define("V_WORDS", (tile.depth * tile.columns / word).div_ceil(threads));
}
