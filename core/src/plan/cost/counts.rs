//! What a variant does for a step: products, bytes through each level, instructions. Counted from
//! the tiles that its kernel has, with what they compute past the edges.

use crate::plan::{
    Backend, CooperativeTile, DirectTile, GemmTile, PatchTile, Plan, Product, SLAB, Step, Upsample,
    Variant, WINOGRAD_VALUES, WinogradScratch, are_alike, products,
};
use crate::tensor::Dtype;

/// A lane of `conv_gemm` loads four neighbouring pixels one after the other, and its neighbours' begin
/// four further on: each load of a subgroup touches the sectors of all four. Fitted on an H200.
const GEMM_SECTORS: f64 = 2.0;
/// Instructions for a value that an epilogue stores: its place, its channel, what is fused. Nobody has
/// counted those of one that is stored with three others of its row: it is taken to need as many.
const EPILOGUE: f64 = 130.0;
/// Instructions for a value of F(4×4, 3×3), both transforms together.
const TRANSFORMS: f64 = 260.0;
/// Instructions for a value of any other kernel, and for each product that it sums.
const VALUE: f64 = 60.0;
const PRODUCT: f64 = 2.0;
/// What `kernels/multi_path_conv.wgsl` stages at a time, by its 64 invocations: rows and columns of a
/// tile without its halo, values, and words of weights for 8 channels.
const PATH_TILE: usize = 16;
const PATH_VALUES: usize = 3072;
const PATH_WEIGHTS: usize = 256;
const PATH_CHANNELS: usize = 8;
const PATH_INVOCATIONS: usize = 64;
/// A load of its loops over what a load of `conv_direct` takes: fitted on MMRB-Net in f32, of an H200.
const PATH_LOAD: f64 = 0.6;
/// Bytes of a sector, the least that a cache hands out.
const SECTOR: usize = 32;
/// A load from workgroup memory over one from memory that a loop waits for: 30 cycles of an H200.
const WORKGROUP_LOAD: f64 = 0.02;

/// What one step costs, on any device.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Counts {
    /// Dispatches.
    pub launches: f64,
    /// Workgroups of all of them that may run at the same time.
    pub workgroups: f64,
    /// Products by cooperative matrices.
    pub matrix_products: f64,
    /// Products by ordinary arithmetic that is staged in workgroup memory.
    pub products: f64,
    /// Bytes that are read once at least, and written.
    pub memory_bytes: f64,
    /// Bytes that are staged in workgroup memory, again for every tile: weights, and what a transform
    /// leaves.
    pub staged_bytes: f64,
    /// Bytes of pictures that are, again for every tap, as sectors of a cache.
    pub gathered_bytes: f64,
    /// Bytes that are read from workgroup memory.
    pub workgroup_bytes: f64,
    /// Values that products store.
    pub stored: f64,
    /// Instructions apart from staged products.
    pub slots: f64,
    /// Loads that one invocation does one after the other.
    pub serial_loads: f64,
}

impl Counts {
    /// Instructions for a value of a resize: positions, weights, four loads.
    pub const RESIZE: f64 = 150.0;
    /// Workgroups of kernels that are not tiled have 64 invocations, of one value each.
    pub const INVOCATIONS: f64 = 64.0;

    /// Counts `step` of `plan`; `None` on the CPU, and where no kernel computes it.
    pub fn of(step: &Step, plan: &Plan) -> Option<Self> {
        if plan.target.backend == Backend::Cpu {
            return None;
        }
        let work = plan.work(step);
        let mut counts = Self { memory_bytes: work.bytes as f64, ..Self::default() };
        match &step.variant {
            Variant::ConvGemmCooperative(tiles) => {
                let products = products(step, &plan.graph).ok()?;
                for (product, tile) in products.iter().zip(tiles) {
                    counts.cooperative(product, tile);
                }
                if are_alike(&products) {
                    // One launch computes them side by side.
                    counts.workgroups *= counts.launches;
                    counts.launches = 1.0;
                }
            }
            Variant::ConvPatchCooperative(tiles) => {
                for (product, tile) in products(step, &plan.graph).ok()?.iter().zip(tiles) {
                    counts.patch(product, tile);
                }
            }
            Variant::ConvGemm(tiles) => {
                let size = plan.target.dtype.size() as f64;
                for (product, tile) in products(step, &plan.graph).ok()?.iter().zip(tiles) {
                    counts.gemm(product, tile, size);
                }
            }
            Variant::ConvWinograd => counts.winograd(step, plan)?,
            Variant::ConvDirect(tile) => counts.direct(step, plan, tile)?,
            Variant::MultiPathConv(_) => counts.paths(step, plan)?,
            Variant::Resize => counts.each_value(step, plan, Self::RESIZE),
            _ => counts.each_value(step, plan, VALUE),
        }
        Some(counts.with_epilogue())
    }

    /// With the instructions of the epilogue of a product.
    pub(super) fn with_epilogue(self) -> Self {
        Self { slots: self.slots + self.stored * EPILOGUE, ..self }
    }

    pub(super) fn cooperative(&mut self, product: &Product, tile: &CooperativeTile) {
        let Tiles { count, steps } = Tiles::of(product, tile.rows, tile.columns, tile.depth);
        let [rows, columns, depth] = [tile.rows, tile.columns, tile.depth].map(|n| n as f64);
        let half = Dtype::F16.size() as f64;
        self.launches += 1.0;
        self.workgroups = self.workgroups.max(count);
        self.matrix_products += count * steps * depth * rows * columns;
        self.staged_bytes += count * steps * depth * half * rows;
        self.gathered_bytes += count * steps * depth * half * columns;
        // Each part reads its rows and its columns of both tiles.
        let [part_rows, part_columns] = tile.part.map(|n| n as f64);
        let parts = rows / part_rows * (columns / part_columns);
        let staged = (rows + columns) * depth;
        let read = parts * (part_rows + part_columns) * depth;
        self.workgroup_bytes += count * steps * half * (read + staged);
        self.stored += count * rows * columns;
    }

    pub(super) fn patch(&mut self, product: &Product, tile: &PatchTile) {
        let count = (tile.tiles(product) * product.groups * product.batch) as f64;
        let slabs = product.group_inputs.div_ceil(SLAB) as f64;
        let taps = (product.used_taps[0] * product.used_taps[1]) as f64;
        let [rows, slab] = [tile.rows, SLAB].map(|n| n as f64);
        let pixels = (tile.height * PatchTile::COLUMNS) as f64;
        let half = Dtype::F16.size() as f64;
        self.launches += 1.0;
        self.workgroups = self.workgroups.max(count);
        self.matrix_products += count * slabs * taps * slab * rows * pixels;
        // Weights pass for every tap, the patch once for all of them.
        self.staged_bytes += count * slabs * taps * slab * half * rows;
        self.gathered_bytes += count * slabs * slab * patch_bytes(product, tile);
        let [part_rows, part_columns] = tile.part.map(|n| n as f64);
        let parts = rows / part_rows * (pixels / part_columns);
        let read = parts * (part_rows + part_columns) * slab;
        let patch = (tile.patch[0] * tile.patch[1]) as f64;
        // A pixel of the patch is written, or read from four others, too.
        let written =
            tile.source.map_or(patch, |[rows, columns]| 5.0 * patch + (rows * columns) as f64);
        let staged = rows * slab + written * slab / taps;
        self.workgroup_bytes += count * slabs * taps * half * (read + staged);
        self.stored += count * rows * pixels;
    }

    pub(super) fn gemm(&mut self, product: &Product, tile: &GemmTile, size: f64) {
        let Tiles { count, steps } = Tiles::of(product, tile.rows, tile.columns, GemmTile::DEPTH);
        let [rows, columns, depth] = [tile.rows, tile.columns, GemmTile::DEPTH].map(|n| n as f64);
        let products = count * steps * depth * rows * columns;
        self.launches += 1.0;
        self.workgroups = self.workgroups.max(count);
        self.products += products;
        self.staged_bytes += count * steps * depth * size * rows;
        self.gathered_bytes += count * steps * depth * size * GEMM_SECTORS * columns;
        // 8×8 sums of an invocation share sixteen values, in f32.
        self.workgroup_bytes += products * 16.0 / 64.0 * Dtype::F32.size() as f64;
        self.stored += count * rows * columns;
    }

    fn winograd(&mut self, step: &Step, plan: &Plan) -> Option<()> {
        let scratch = WinogradScratch::new(step, &plan.target);
        let (inputs, outputs) = (step.input_shape().c as f64, step.output.shape.c as f64);
        let (tiles, values) = (scratch.tiles as f64, WINOGRAD_VALUES as f64);
        let chunks = scratch.tiles.div_ceil(scratch.chunk.max(1)).max(1) as f64;
        let [rows, columns] = [outputs, tiles].map(|n| (n / 64.0).ceil());
        let size = Dtype::F32.size() as f64;
        self.launches = 3.0 * chunks;
        self.workgroups = rows * columns * values / chunks;
        self.products = values * inputs * rows * columns * 64.0 * 64.0;
        self.workgroup_bytes = self.products * 16.0 / 64.0 * size;
        // What the product stages, and both working memories, written and read from a cache.
        let staged = rows * columns * values * inputs * size * 128.0;
        self.staged_bytes = staged + 2.0 * values * tiles * (inputs + outputs) * size;
        self.slots = step.output.shape.len() as f64 * TRANSFORMS;
        Some(())
    }

    fn direct(&mut self, step: &Step, plan: &Plan, tile: &DirectTile) -> Option<()> {
        let product = products(step, &plan.graph).ok()?.into_iter().next()?;
        let multiply_adds = plan.multiply_adds(step) as f64;
        let values = step.output.shape.len() as f64;
        let [rows, outputs, parts] = [DirectTile::ROWS, tile.outputs, tile.parts].map(|n| n as f64);
        let sum = if tile.parts > 1 { parts * WORKGROUP_LOAD } else { 0.0 };
        self.launches = 1.0;
        self.workgroups = (values * parts / (rows * outputs * tile.workgroup() as f64)).ceil();
        // For each tap of a channel an invocation loads its rows and its weights.
        let loads = multiply_adds / (rows * outputs) * (rows + outputs);
        self.slots = multiply_adds + loads * PRODUCT + values * EPILOGUE;
        let taps = product.used_taps[0] * product.used_taps[1];
        self.serial_loads = (product.group_inputs.div_ceil(tile.parts) * taps) as f64 + sum;
        Some(())
    }

    /// Its loops stage value after value; the path with the most of them is done last.
    fn paths(&mut self, step: &Step, plan: &Plan) -> Option<()> {
        self.each_value(step, plan, EPILOGUE);
        self.workgroups = 0.0;
        for path in products(step, &plan.graph).ok()? {
            let taps = path.used_taps[0] * path.used_taps[1];
            let halo = path.used_taps[0] / 2 * path.step.unsigned_abs() as usize;
            let values = (PATH_TILE + 2 * halo) * (PATH_TILE + 2 * halo);
            let words = PATH_CHANNELS / 4 * taps;
            let chunk = (PATH_VALUES / values).min(PATH_WEIGHTS / words.max(1));
            let loads = if chunk > 0 {
                let of_weights = 4 * (chunk * words).div_ceil(PATH_INVOCATIONS);
                let of_values = (chunk * values).div_ceil(PATH_INVOCATIONS);
                path.group_inputs.div_ceil(chunk) * (of_values + of_weights)
            } else {
                path.group_inputs * taps
            };
            self.serial_loads = self.serial_loads.max(loads as f64 * PATH_LOAD);
            let tiles = path.size[0].div_ceil(PATH_TILE) * path.size[1].div_ceil(PATH_TILE);
            let blocks = path.group_outputs.div_ceil(PATH_CHANNELS) * path.groups;
            self.workgroups += (tiles * blocks * path.batch) as f64;
        }
        Some(())
    }

    fn each_value(&mut self, step: &Step, plan: &Plan, slots: f64) {
        let values = step.output.shape.len() as f64;
        let multiply_adds = plan.multiply_adds(step) as f64;
        self.launches = 1.0;
        self.workgroups = (values / Self::INVOCATIONS).ceil();
        self.serial_loads = 1.0;
        let products = if multiply_adds > values { multiply_adds * PRODUCT } else { 0.0 };
        self.slots = values * slots + products;
    }
}

/// Bytes of the sectors that a channel of a tile's patch lies in, or of what it is made of.
fn patch_bytes(product: &Product, tile: &PatchTile) -> f64 {
    let sector = (SECTOR / Dtype::F16.size()) as i32;
    let left = product.corner[1];
    let (first, [rows, columns]) = match (product.upsample, tile.source) {
        // Each row twice.
        (Upsample::Nearest, _) => (left.div_euclid(2), [tile.patch[0], tile.patch[1] / 2 + 1]),
        (Upsample::Bilinear, Some(source)) => ((left - 1).div_euclid(2), source),
        (Upsample::None | Upsample::Bilinear, _) => (left, tile.patch),
    };
    let last = first + columns as i32 - 1;
    let sectors = (last.div_euclid(sector) - first.div_euclid(sector) + 1) as usize;
    (rows * sectors * SECTOR) as f64
}

/// Tiles of a product, and how often each is staged.
struct Tiles {
    count: f64,
    steps: f64,
}

impl Tiles {
    fn of(product: &Product, rows: usize, columns: usize, depth: usize) -> Self {
        let tiles = product.group_outputs.div_ceil(rows) * product.pixels().div_ceil(columns);
        let taps = product.used_taps[0] * product.used_taps[1];
        Self {
            count: (tiles * product.groups * product.batch) as f64,
            steps: (taps * product.group_inputs.div_ceil(depth)) as f64,
        }
    }
}
