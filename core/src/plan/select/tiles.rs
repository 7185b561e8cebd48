//! Tiles: how a workgroup shares a convolution on a GPU.

use super::thresholds::{
    COOPERATIVE_BUSY, COOPERATIVE_FEW_TILES, COOPERATIVE_FEWER_TILES, COOPERATIVE_WIDE_LANES,
    DIRECT_DEEP, DIRECT_FEW_TILES, DIRECT_FEWER_TILES, DIRECT_INPUTS, DIRECT_UNROLLED,
    GEMM_FEW_TILES, PATH_BLOCK, SHARED_INPUTS, WINDOW_KEYS, WINDOW_WORDS,
};
use crate::plan::{Cooperative, PANEL_ROWS, Product, SLAB, Target};

/// Parts that a workgroup divides the depth among where there are few tiles: one tile alone keeps
/// too few invocations at work for a GPU to hide that they wait for their loads.
const SPLITS: usize = 4;

impl Product {
    /// Whether depths are shared where a picture has fewer than `few` tiles of 64 × 64 and `least`
    /// input channels. That changes the order of sums, so it depends on nothing else: neither tuning
    /// nor a batch changes a result.
    fn shares_depth(&self, few: usize, least: usize) -> bool {
        let tiles = self.group_outputs.div_ceil(64) * self.pixels().div_ceil(64) * self.groups;
        tiles < few && self.group_inputs >= least
    }
}

/// The outputs that an invocation of `conv_direct` computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DirectTile {
    /// Output channels.
    pub outputs: usize,
    /// Invocations that share the channels of the same pixels.
    pub parts: usize,
}

impl DirectTile {
    /// Output rows of an invocation.
    pub const ROWS: usize = 4;
    /// Output channels at most: with 4 rows, 32 sums and as many registers.
    const MOST: usize = 8;
    /// Invocations that share the channels where there are few pixels, and where there are many
    /// channels, too.
    const PARTS: [usize; 2] = [16, 64];

    /// The tile for `product` on a GPU.
    pub(super) fn new(product: &Product, target: &Target) -> Self {
        let rows = product.used_taps[0];
        let outputs = product.group_outputs.next_power_of_two();
        let outputs = outputs.min(Self::MOST).min((DIRECT_UNROLLED / rows).max(1));
        let deep = product.shares_depth(DIRECT_FEWER_TILES, DIRECT_DEEP);
        let parts = Self::PARTS[usize::from(deep)];
        let shared = Self { outputs, parts };
        let bytes = outputs * shared.workgroup() * size_of::<[f32; Self::ROWS]>();
        if product.shares_depth(DIRECT_FEW_TILES, DIRECT_INPUTS)
            && shared.workgroup() <= target.max_invocations
            && bytes <= target.workgroup_memory
        {
            shared
        } else {
            Self { outputs, parts: 1 }
        }
    }

    /// Invocations of a workgroup.
    pub const fn workgroup(&self) -> usize {
        if self.parts > 1 { 256 } else { 64 }
    }
}

/// The outputs that a workgroup of `multi_path_conv` computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PathTile {
    /// Output channels of an invocation; a multiple of 4.
    pub outputs: usize,
}

impl PathTile {
    /// Output rows and columns of a workgroup.
    pub const SIDE: usize = 16;

    /// The tile for the paths of a stage: where all of them have few channels per group, short
    /// blocks.
    pub(super) fn new(paths: &[Product]) -> Self {
        let many = paths.iter().any(|path| path.group_outputs > PATH_BLOCK);
        Self { outputs: if many { 2 * PATH_BLOCK } else { PATH_BLOCK } }
    }
}

/// How a workgroup of `window_attention` shares a window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WindowTile {
    /// Keys, and values, that are staged at a time.
    pub keys: usize,
}

impl WindowTile {
    /// Queries of a workgroup, one per invocation.
    pub const QUERIES: usize = 64;

    /// The tile for heads of `width` channels.
    pub(super) fn new(width: usize) -> Self {
        let words = width.div_ceil(4).max(1);
        Self { keys: (WINDOW_WORDS / words).clamp(1, WINDOW_KEYS) }
    }
}

/// The outputs that a workgroup of `conv_gemm` computes (`kernels/shared/tile.wgsl`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GemmTile {
    /// Output channels.
    pub rows: usize,
    /// Pixels.
    pub columns: usize,
    /// Parts of the workgroup that share the depth.
    pub splits: usize,
}

impl GemmTile {
    /// Channels that are staged at a time.
    pub const DEPTH: usize = 16;

    /// Rows and columns; without tuning the first, of which there are the most.
    const SIZES: [[usize; 2]; 3] = [[PANEL_ROWS, 64], [2 * PANEL_ROWS, 64], [2 * PANEL_ROWS, 128]];

    /// Every tile for `product` on `target`, the one to take first. All of them add in one order.
    pub(super) fn family(product: &Product, target: &Target) -> Vec<Self> {
        let tile = |[rows, columns]: [usize; 2], splits| Self { rows, columns, splits };
        let first = tile(Self::SIZES[0], SPLITS);
        let shared = product.shares_depth(GEMM_FEW_TILES, SHARED_INPUTS) && first.fits(target);
        let splits = if shared { SPLITS } else { 1 };
        let mut family = Self::SIZES.map(|size| tile(size, splits)).to_vec();
        // The first fits every device.
        family.retain(|tile| [tile.rows, tile.columns] == Self::SIZES[0] || tile.fits(target));
        family
    }

    /// Invocations of a part.
    pub const fn threads(&self) -> usize {
        self.rows * self.columns / 64
    }

    /// Invocations that share a depth at most: where there are 512 of them, NVIDIA's have 128 registers
    /// each, and need more.
    const SHARING: usize = 256;

    /// Whether the device has room for as many parts. The sums of a part pass through the tiles of
    /// the weights of all of them, and fit where a tile is no wider than the parts are deep.
    fn fits(&self, target: &Target) -> bool {
        let Self { rows, columns, splits } = *self;
        splits * self.threads() <= target.max_invocations
            && splits * Self::DEPTH * (rows + columns) * size_of::<f32>() <= target.workgroup_memory
            && (splits == 1
                || columns <= splits * Self::DEPTH && splits * self.threads() <= Self::SHARING)
    }
}

/// The outputs that a workgroup of `conv_gemm_cooperative` computes, and its subgroups' shares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CooperativeTile {
    /// Output channels.
    pub rows: usize,
    /// Pixels.
    pub columns: usize,
    /// Channels that are staged at a time.
    pub depth: usize,
    /// Subgroups that sum a part, each the products of as large a share of these channels.
    pub splits: usize,
    /// Rows and columns of a subgroup's part.
    pub part: [usize; 2],
    /// Rows and columns of a matrix.
    pub side: usize,
    /// Lanes of a subgroup, the most where they vary.
    pub lanes: usize,
    /// The fewest.
    pub narrowest: usize,
}

impl CooperativeTile {
    /// Every tile for `product`, if the device has room for one, the one to take first. All of them
    /// add in one order; where depths are shared, there is one.
    pub(super) fn family(matrices: Cooperative, product: &Product, target: &Target) -> Vec<Self> {
        if product.shares_depth(COOPERATIVE_FEW_TILES, SHARED_INPUTS)
            && let Some(tile) = Self::shared(matrices, product, target)
        {
            return vec![tile];
        }
        let mut family = Self::all(matrices, target);
        let (rows, columns) = (product.group_outputs, product.pixels());
        let tiles = |tile: &Self| rows.div_ceil(tile.rows) * columns.div_ceil(tile.columns);
        // More than half of the rows and columns of a tile must be there.
        let half = |there: usize, size: usize| 2 * there > size || size <= 32;
        let full = |tile: &Self| half(rows, tile.rows) && half(columns, tile.columns);
        let busy = |tile: &Self| tiles(tile) * product.groups * product.batch >= COOPERATIVE_BUSY;
        let first = family.iter().position(|tile| full(tile) && busy(tile));
        let Some(first) = first.or_else(|| family.iter().rposition(full)) else {
            return Vec::new();
        };
        family[..=first].rotate_right(1);
        family
    }

    /// The tile of shared depths, if the device has room for it: no deeper than there are channels,
    /// and small where there are so few that they would leave most of a device idle.
    fn shared(matrices: Cooperative, product: &Product, target: &Target) -> Option<Self> {
        let Product { group_outputs, groups, group_inputs, .. } = *product;
        let tile =
            |side, depth, splits| Self::new(matrices, [side, side], depth, splits, [side, side]);
        let tiles = group_outputs.div_ceil(32) * product.pixels().div_ceil(32) * groups;
        let deep = group_inputs > 64;
        let mut shapes = vec![(32, 64, SPLITS)];
        if deep {
            shapes.insert(0, (32, 128, SPLITS));
        }
        if tiles < COOPERATIVE_FEWER_TILES {
            shapes.insert(0, if deep { (16, 128, 2 * SPLITS) } else { (16, 64, SPLITS) });
        }
        let tiles = shapes.into_iter().map(|(side, depth, splits)| tile(side, depth, splits));
        tiles.into_iter().find(|tile| tile.fits(target))
    }

    /// Every tile without shared depths that the device has room for, the largest first.
    fn all(matrices: Cooperative, target: &Target) -> Vec<Self> {
        let shapes = [
            ([128, 128], [64, 32]),
            ([64, 128], [32, 32]),
            ([64, 64], [32, 32]),
            ([32, 32], [16, 16]),
        ];
        let fitting = |(size, part)| {
            let tiles = [32, 16].map(|depth| Self::new(matrices, size, depth, 1, part));
            tiles.into_iter().find(|tile| tile.fits(target))
        };
        shapes.into_iter().filter_map(fitting).collect()
    }

    fn new(
        Cooperative { side, lanes, narrowest }: Cooperative,
        [rows, columns]: [usize; 2],
        depth: usize,
        splits: usize,
        part: [usize; 2],
    ) -> Self {
        let part = if lanes < COOPERATIVE_WIDE_LANES { [16, 16] } else { part };
        Self { rows, columns, depth, splits, part, side, lanes, narrowest }
    }

    fn parts(&self) -> usize {
        self.rows / self.part[0] * (self.columns / self.part[1])
    }

    /// Invocations of a workgroup.
    pub fn threads(&self) -> usize {
        self.parts() * self.splits * self.lanes
    }

    /// Subgroups of a workgroup at most.
    pub fn slots(&self) -> usize {
        self.threads().div_ceil(self.narrowest)
    }

    /// Bytes of workgroup memory: both halves of both tiles with their gaps, and a fragment of
    /// sums for each subgroup.
    fn bytes(&self) -> usize {
        let staged = 2 * (self.rows + self.columns) * (self.depth + 8) * size_of::<u16>();
        staged + self.slots() * self.side * self.side * size_of::<f32>()
    }

    /// Whether its invocations share the staging equally, and the device has room for it.
    fn fits(&self, target: &Target) -> bool {
        let threads = self.threads();
        // Channels of all pixels that are staged at a time.
        let pass = threads / self.columns * 4;
        let staged = (self.depth * self.rows / 4).is_multiple_of(threads)
            && threads.is_multiple_of(self.columns)
            && pass > 0
            && self.depth.is_multiple_of(pass);
        self.bytes() <= target.workgroup_memory
            && threads <= target.max_invocations
            && self.part.iter().all(|part| part.is_multiple_of(self.side))
            && self.depth.is_multiple_of(self.splits * self.side)
            && self.depth.is_multiple_of(SLAB)
            && staged
    }
}
