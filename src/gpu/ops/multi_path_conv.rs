//! Host side of `kernels/multi_path_conv.wgsl`.

use super::shared::{epilogue, load};
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::Path;
use crate::graph::ops::MultiPathConv;
use crate::plan::{PathTile, Plan, Step, Upsample, Variant};

/// All paths of an MMRB stage in one launch.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let MultiPathConv(paths) = step.op()?;
    let Variant::MultiPathConv(tile) = step.variant else {
        return Err(step.misfit("it has no tile"));
    };
    let y = step.output.shape;
    let dims = |path: &Path| {
        let dims = &plan.graph.param(path.weight).dims;
        (dims[0] / path.groups, dims[1], dims[2])
    };
    let (mut first_output, mut first_weight, mut first_block) = (0, 0, 0);
    let mut rows: Vec<[usize; 8]> = Vec::new();
    for path in paths {
        let (outputs, inputs, size) = dims(path);
        let starts = [first_output, first_weight, first_block];
        let [o, w, b] = starts;
        rows.push([size, path.dilation, path.first_channel, inputs, outputs, o, w, b]);
        first_output += outputs * path.groups;
        first_weight += plan.graph.param(path.weight).len();
        first_block += outputs.div_ceil(tile.outputs) * path.groups;
    }
    let names = [
        "KERNEL",
        "DILATION",
        "FIRST_INPUT",
        "INPUTS",
        "OUTPUTS",
        "FIRST_OUTPUT",
        "FIRST_WEIGHT",
        "FIRST_BLOCK",
    ];

    let mut launch = Builder::new(plan, "multi_path_conv");
    launch.define("PATHS", paths.len());
    launch.define("TILE", PathTile::SIDE);
    for (column, name) in names.into_iter().enumerate() {
        let values: Vec<String> = rows.iter().map(|row| format!("{}u", row[column])).collect();
        launch.define(name, values.join(", "));
    }
    launch.define("BLOCKS", first_block);
    launch.define("QUADS", tile.outputs / 4);
    load::bind(&mut launch, step.x()?, Upsample::None, None);
    launch.uint("batch", y.n);
    launch.values(paths.iter().map(|path| path.weight).collect());
    epilogue::bind(&mut launch, step);
    let tiles = y.h.div_ceil(PathTile::SIDE) * y.w.div_ceil(PathTile::SIDE);
    Ok(vec![launch.finish(tiles * first_block * y.n)])
}
