//! Host side of `kernels/multi_path_conv.wgsl`.

use super::conv_gemm::Product;
use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue, load};
use crate::graph::Path;
use crate::plan::{Compute, Plan, Step, Upsample};

/// Output rows and columns of a workgroup.
const TILE: usize = 16;

/// All paths of an MMRB stage. One product per path where cooperative matrices multiply, many times
/// faster than other arithmetic.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::MultiPathConv(paths) = &step.compute else {
        return Err(misfit(step, "multi_path_conv computes MMRB stages"));
    };
    if plan.target.cooperative.is_some() {
        return products(step, plan, paths);
    }
    let y = step.output.shape;
    let dims = |path: &Path| {
        let dims = &plan.graph.param(path.weight).dims;
        (dims[0] / path.groups, dims[1], dims[2])
    };
    // Paths with few channels per group get short blocks.
    let quads = if paths.iter().any(|path| dims(path).0 > 4) { 2 } else { 1 };
    let (mut first_output, mut first_weight, mut first_block) = (0, 0, 0);
    let mut rows: Vec<[usize; 8]> = Vec::new();
    for path in paths {
        let (outputs, inputs, size) = dims(path);
        let starts = [first_output, first_weight, first_block];
        let [o, w, b] = starts;
        rows.push([size, path.dilation, path.first_channel, inputs, outputs, o, w, b]);
        first_output += outputs * path.groups;
        first_weight += plan.graph.param(path.weight).len();
        first_block += outputs.div_ceil(4 * quads) * path.groups;
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
    for (column, name) in names.into_iter().enumerate() {
        let values: Vec<String> = rows.iter().map(|row| format!("{}u", row[column])).collect();
        launch.define(name, values.join(", "));
    }
    launch.define("BLOCKS", first_block);
    launch.define("QUADS", quads);
    load::bind(&mut launch, input(step)?, Upsample::None, None);
    launch.uint(y.n);
    launch.values(paths.iter().map(|path| path.weight).collect());
    epilogue::bind(&mut launch, step);
    let tiles = y.h.div_ceil(TILE) * y.w.div_ceil(TILE);
    Ok(vec![launch.finish(tiles * first_block * y.n)])
}

fn products(step: &Step, plan: &Plan, paths: &[Path]) -> Result<Vec<Dispatch>> {
    let y = step.output.shape;
    let mut first_output = 0;
    let mut dispatches = Vec::new();
    for path in paths {
        let [o, i, kh, kw] = plan.graph.param(path.weight).dims[..] else {
            return Err(misfit(step, "its weight is no [O, I, k, k]"));
        };
        let halo = -((kh / 2 * path.dilation) as i32);
        let product = Product {
            weight: path.weight,
            upsample: Upsample::None,
            style: None,
            groups: path.groups,
            first_input: path.first_channel,
            group_inputs: i,
            first_output,
            group_outputs: o / path.groups,
            size: [y.h, y.w],
            stride: 1,
            step: path.dilation as i32,
            corner: [halo, halo],
            taps: kh * kw,
            first_tap: 0,
            used_taps: [kh, kw],
            tap_steps: [kw, 1],
            phases: 1,
            phase: [0, 0],
        };
        dispatches.push(product.launch(step, plan)?);
        first_output += o;
    }
    Ok(dispatches)
}
