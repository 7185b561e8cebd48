//! Host side of `kernels/conv_gemm.wgsl` and `kernels/conv_gemm_cooperative.wgsl`.

use super::work::{SPLITS, Work};
use super::{Builder, cooperative, input, misfit};
use crate::Result;
use crate::gpu::schema::weight_dtype;
use crate::gpu::{Dispatch, epilogue, load};
use crate::graph::ParamId;
use crate::plan::{Compute, Layout, PANEL_ROWS, Plan, Step, Target, Upsample, View, Weight};
use crate::tensor::Dtype;

/// Rows and columns of the tiles that a workgroup computes (`kernels/shared/tile.wgsl`);
/// without tuning the first, of which there are the most.
const TILES: [[usize; 2]; 3] = [[PANEL_ROWS, 64], [2 * PANEL_ROWS, 64], [2 * PANEL_ROWS, 128]];

/// Channels that are staged at a time.
const DEPTH: usize = 16;

/// Tiles of 64 × 64 of a picture below which depths are shared.
const FEW_TILES: usize = 512;

/// How many tiles [`Step::tile`] chooses from.
pub fn tiles(target: &Target) -> usize {
    match target.cooperative {
        Some(matrices) => cooperative::Tile::family(matrices, target).len().max(1),
        None => TILES.len(),
    }
}

/// Whether the device has room for as many parts of a tile. The sums of a part pass through the
/// tiles of the weights of all of them, and fit where a tile is no wider than the parts are deep.
fn fits([rows, columns]: [usize; 2], splits: usize, target: &Target) -> bool {
    splits * rows * columns / 64 <= target.max_invocations
        && splits * DEPTH * (rows + columns) * size_of::<f32>() <= target.workgroup_memory
        && (splits == 1 || columns <= splits * DEPTH)
}

/// Defines the tile of a workgroup for `work`, and returns its rows and columns.
fn define_tile(launch: &mut Builder<'_>, wanted: Option<usize>, work: Work) -> [usize; 2] {
    let target = &launch.plan.target;
    let shared = work.shares_depth(FEW_TILES);
    let splits = if shared && fits(TILES[0], SPLITS, target) { SPLITS } else { 1 };
    let wanted = wanted.and_then(|tile| TILES.get(tile)).copied();
    let wanted = wanted.filter(|&tile| fits(tile, splits, target));
    let [rows, columns] = wanted.unwrap_or(TILES[0]);
    let threads = rows * columns / 64;
    if splits > 1 {
        launch.define("SPLITS", splits);
    }
    launch.define("TILE_ROWS", rows);
    launch.define("TILE_COLUMNS", columns);
    launch.define("U_PASSES", DEPTH * rows / 4 / threads);
    launch.define("V_PASSES", DEPTH * columns / 4 / threads);
    [rows, columns]
}

/// One launch; the kernel's file says what it computes.
pub struct Product {
    pub weight: ParamId,
    pub upsample: Upsample,
    pub style: Option<View>,
    pub groups: usize,
    pub first_input: usize,
    pub group_inputs: usize,
    pub first_output: usize,
    pub group_outputs: usize,
    /// Rows and columns of the pixels that are computed.
    pub size: [usize; 2],
    /// Rows or columns of the input from one of these pixels to the next.
    pub stride: usize,
    /// From one tap to the next.
    pub step: i32,
    /// Row and column of the input that the first tap reads for the first pixel.
    pub corner: [i32; 2],
    /// Taps of the weight.
    pub taps: usize,
    /// The first that is used.
    pub first_tap: usize,
    /// Rows and columns of taps that are used.
    pub used_taps: [usize; 2],
    /// From one of them to the next.
    pub tap_steps: [usize; 2],
    /// Rows or columns of the output from one pixel to the next.
    pub phases: usize,
    /// Row and column of the output where the first pixel goes.
    pub phase: [usize; 2],
}

/// Any convolution, as a product of matrices.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Conv { conv, upsample, style } = &step.compute else {
        return Err(misfit(step, "conv_gemm computes convolutions"));
    };
    let y = step.output.shape;
    let [o, i, kh, kw] = plan.graph.param(conv.weight).dims[..] else {
        return Err(misfit(step, "its weight is no [O, I, kh, kw]"));
    };
    let product = Product {
        weight: conv.weight,
        upsample: *upsample,
        style: *style,
        groups: conv.groups,
        first_input: 0,
        group_inputs: i,
        first_output: 0,
        group_outputs: o / conv.groups,
        size: [y.h, y.w],
        stride: conv.stride,
        step: conv.dilation as i32,
        corner: [-conv.padding.top, -conv.padding.left],
        taps: kh * kw,
        first_tap: 0,
        used_taps: [kh, kw],
        tap_steps: [kw, 1],
        phases: 1,
        phase: [0, 0],
    };
    Ok(vec![product.launch(step, plan)?])
}

impl Product {
    /// Records it for `step`, which gives input, output and epilogue.
    pub fn launch(&self, step: &Step, plan: &Plan) -> Result<Dispatch> {
        let batch = step.output.shape.n;
        let pixels = self.size[0] * self.size[1];
        let layout = Layout::Panels { groups: self.groups };
        let weight = Weight { param: self.weight, layout };
        let stored = |view: View| plan.storages[view.storage.index()].dtype;
        let halves = [stored(input(step)?), weight_dtype(plan, weight)] == [Dtype::F16; 2];
        let work = Work {
            rows: self.group_outputs,
            columns: pixels,
            inputs: self.group_inputs,
            groups: self.groups,
            batch,
        };
        let tile = (plan.target.cooperative.filter(|_| halves)).and_then(|matrices| {
            cooperative::Tile::choose(matrices, &plan.target, work, step.tile)
        });
        let (mut launch, [rows, columns]) = match tile {
            Some(tile) => {
                let mut launch = Builder::new(plan, "conv_gemm_cooperative");
                tile.define(&mut launch);
                (launch, [tile.rows, tile.columns])
            }
            None => {
                let mut launch = Builder::new(plan, "conv_gemm");
                let size = define_tile(&mut launch, step.tile, work);
                (launch, size)
            }
        };
        load::bind(&mut launch, input(step)?, self.upsample, self.style);
        launch.uint(batch);
        launch.uint(self.groups);
        launch.uint(self.first_input);
        launch.uint(self.group_inputs);
        launch.uint(self.first_output);
        launch.uint(self.group_outputs);
        launch.uint(self.size[0]);
        launch.uint(self.size[1]);
        launch.uint(self.stride);
        launch.int(self.step);
        launch.int(self.corner[0]);
        launch.int(self.corner[1]);
        launch.uint(self.taps);
        launch.uint(self.first_tap);
        launch.uint(self.used_taps[0]);
        launch.uint(self.used_taps[1]);
        launch.uint(self.tap_steps[0]);
        launch.uint(self.tap_steps[1]);
        launch.uint(self.phases);
        launch.uint(self.phase[0]);
        launch.uint(self.phase[1]);
        launch.weight(weight);
        epilogue::bind(&mut launch, step);
        let row_blocks = self.group_outputs.div_ceil(rows) * self.groups;
        Ok(launch.finish(row_blocks * pixels.div_ceil(columns) * batch))
    }
}
