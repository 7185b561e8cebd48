//! Tiles of a product of matrices that subgroups compute together
//! (`kernels/conv_gemm_cooperative.wgsl`).

use super::Builder;
use super::work::{SPLITS, Work};
use crate::plan::{Cooperative, Target};

/// Tiles that should be under way for a device to be busy. Large ones read less per product, so
/// the largest is taken of which there are as many.
const BUSY: usize = 128;

/// Tiles of 64 × 64 of a picture below which depths are shared.
const FEW_TILES: usize = 256;

/// Lanes of the subgroups that hold parts as large as `wanted`; of fewer, 16 × 16. Mesa's llvmpipe,
/// with 8 or 16 lanes, writes out the products of every pair of matrices and compiles for minutes
/// where there are many. GPUs with so few lanes have room for few sums, too; none was measured.
const WIDE_LANES: usize = 32;

/// Rows and columns of the part of a subgroup of `lanes`.
fn part(wanted: [usize; 2], lanes: usize) -> [usize; 2] {
    if lanes < WIDE_LANES { [16, 16] } else { wanted }
}

/// What a workgroup computes, and how its subgroups share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Output channels.
    pub rows: usize,
    /// Pixels.
    pub columns: usize,
    /// Channels that are staged at a time.
    pub depth: usize,
    /// Subgroups that sum a part, each the products of as large a share of these channels.
    pub splits: usize,
    /// Rows and columns of a subgroup's part.
    part: [usize; 2],
    /// Rows and columns of a matrix.
    side: usize,
    /// Lanes of a subgroup.
    lanes: usize,
}

impl Tile {
    /// The tile for `work`, if the device has room for one. `wanted` is a position in the family; where
    /// depths are shared, there is no choice.
    pub fn choose(
        matrices: Cooperative,
        target: &Target,
        work: Work,
        wanted: Option<usize>,
    ) -> Option<Self> {
        if work.shares_depth(FEW_TILES)
            && let Some(tile) = Self::shared(matrices, target)
        {
            return Some(tile);
        }
        let family = Self::family(matrices, target);
        if let Some(tile) = wanted.and_then(|wanted| family.get(wanted)) {
            return Some(*tile);
        }
        let Work { rows, columns, groups, batch, .. } = work;
        let tiles = |tile: &Self| rows.div_ceil(tile.rows) * columns.div_ceil(tile.columns);
        // More than half of the rows and columns of a tile must be there.
        let half = |there: usize, size: usize| 2 * there > size || size <= 32;
        let full = |tile: &&Self| half(rows, tile.rows) && half(columns, tile.columns);
        let busy = |tile: &&Self| tiles(tile) * groups * batch >= BUSY;
        let full: Vec<_> = family.iter().filter(full).collect();
        full.iter().copied().find(busy).or(full.last().copied()).copied()
    }

    /// The tile of shared depths, if the device has room for it.
    fn shared(matrices: Cooperative, target: &Target) -> Option<Self> {
        let Cooperative { side, lanes } = matrices;
        let part = part([32, 32], lanes);
        let tile = |depth| Self { rows: 32, columns: 32, depth, splits: SPLITS, part, side, lanes };
        [128, 64].map(tile).into_iter().find(|tile| tile.fits(target))
    }

    /// Every tile that the device has room for, the largest first.
    pub fn family(matrices: Cooperative, target: &Target) -> Vec<Self> {
        let shapes = [[128, 128, 64, 32], [64, 128, 32, 32], [64, 64, 32, 32], [32, 32, 16, 16]];
        let Cooperative { side, lanes } = matrices;
        let mut family = Vec::new();
        for [rows, columns, part_rows, part_columns] in shapes {
            for depth in [32, 16] {
                let part = part([part_rows, part_columns], lanes);
                let tile = Self { rows, columns, depth, splits: 1, part, side, lanes };
                if tile.fits(target) {
                    family.push(tile);
                    break;
                }
            }
        }
        family
    }

    fn parts(&self) -> usize {
        self.rows / self.part[0] * (self.columns / self.part[1])
    }

    fn threads(&self) -> usize {
        self.parts() * self.splits * self.lanes
    }

    /// Bytes of workgroup memory: both halves of both tiles with their gaps, and a fragment of
    /// sums for each share of each part.
    fn bytes(&self) -> usize {
        let staged = 2 * self.depth * (self.rows + 8 + self.columns + 8) * size_of::<u16>();
        staged + self.parts() * self.splits * self.side * self.side * size_of::<f32>()
    }

    /// Whether its invocations share the staging equally, and the device has room for it.
    fn fits(&self, target: &Target) -> bool {
        let staged = |width: usize| {
            let per_pass = self.threads() / (width / 4);
            self.threads().is_multiple_of(width / 4)
                && per_pass > 0
                && self.depth.is_multiple_of(per_pass)
        };
        self.bytes() <= target.workgroup_memory
            && self.threads() <= target.max_invocations
            && self.part.iter().all(|part| part.is_multiple_of(self.side))
            && self.depth.is_multiple_of(self.splits * self.side)
            && staged(self.rows)
            && staged(self.columns)
    }

    /// Defines it for the kernel.
    pub fn define(&self, launch: &mut Builder<'_>) {
        let threads = self.threads();
        launch.define("ROWS", self.rows);
        launch.define("COLUMNS", self.columns);
        launch.define("DEPTH", self.depth);
        launch.define("FRAGMENT", self.side);
        launch.define("FRAGMENT_ROWS", self.part[0] / self.side);
        launch.define("FRAGMENT_COLUMNS", self.part[1] / self.side);
        launch.define("DEPTH_FRAGMENTS", self.depth / self.splits / self.side);
        if self.splits > 1 {
            launch.define("SPLITS", self.splits);
        }
        launch.define("THREADS", threads);
        launch.define("U_QUADS", self.depth * self.rows / 4 / threads);
        launch.define("V_QUADS", self.depth * self.columns / 4 / threads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(workgroup_memory: usize) -> Target {
        Target { workgroup_memory, max_invocations: 1024, ..Target::webgpu_defaults() }
    }

    fn work([rows, columns, inputs, batch]: [usize; 4]) -> Work {
        Work { rows, columns, inputs, groups: 1, batch }
    }

    /// Rows, columns, depth and splits.
    fn chosen(lanes: usize, memory: usize, sizes: [usize; 4]) -> [usize; 4] {
        let matrices = Cooperative { side: 16, lanes };
        let tile = Tile::choose(matrices, &target(memory), work(sizes), None).unwrap();
        [tile.rows, tile.columns, tile.depth, tile.splits]
    }

    #[test]
    fn many_pixels_get_large_tiles() {
        assert_eq!(chosen(32, 48 << 10, [512, 64 * 64, 512, 1]), [128, 128, 32, 1]);
        assert_eq!(chosen(32, 32 << 10, [512, 64 * 64, 512, 1]), [128, 128, 16, 1]);
        assert_eq!(chosen(32, 48 << 10, [64, 512 * 512, 64, 1]), [64, 128, 32, 1]);
        assert_eq!(chosen(32, 48 << 10, [512, 32 * 32, 3, 1]), [64, 64, 32, 1]);
        assert_eq!(chosen(32, 48 << 10, [512, 16, 32, 1]), [32, 32, 32, 1]);
        assert_eq!(chosen(32, 48 << 10, [512, 16, 32, 64]), [32, 32, 32, 1]);
        assert_eq!(chosen(64, 48 << 10, [512, 64 * 64, 512, 1]), [128, 128, 32, 1]);
    }

    #[test]
    fn few_tiles_share_depths_whatever_the_batch() {
        assert_eq!(chosen(32, 48 << 10, [512, 32 * 32, 512, 1]), [32, 32, 128, 4]);
        assert_eq!(chosen(32, 48 << 10, [512, 32 * 32, 512, 64]), [32, 32, 128, 4]);
        assert_eq!(chosen(32, 32 << 10, [512, 32 * 32, 512, 1]), [32, 32, 64, 4]);
        assert_eq!(chosen(64, 48 << 10, [224, 16 * 16, 192, 1]), [32, 32, 128, 4]);
    }

    #[test]
    fn small_devices_get_small_tiles_or_none() {
        assert_eq!(chosen(32, 16 << 10, [512, 64 * 64, 512, 1]), [64, 64, 16, 1]);
        assert_eq!(chosen(32, 16 << 10, [512, 16, 512, 1]), [32, 32, 32, 1]);
        assert_eq!(chosen(8, 32 << 10, [512, 64 * 64, 512, 1]), [128, 128, 16, 1]);
        let narrow = Tile::family(Cooperative { side: 8, lanes: 8 }, &target(32 << 10));
        assert!(narrow.iter().all(|tile| tile.part == [16, 16]));
        let matrices = Cooperative { side: 16, lanes: 32 };
        let none = Tile::choose(matrices, &target(1 << 10), work([512, 64 * 64, 512, 1]), None);
        assert_eq!(none, None);
    }
}
