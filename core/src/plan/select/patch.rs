//! Tiles of `conv_patch_cooperative`: how a workgroup shares a convolution of stride 1 whose input it
//! stages once for all taps.

use super::thresholds::{
    COOPERATIVE_BUSY, COOPERATIVE_WIDE_LANES, PATCH_FEW_TILES, PATCH_INPUTS, PATCH_OVERHEAD,
    PATCH_QUADS,
};
use crate::plan::{Cooperative, Product, SLAB, Target, Upsample};

/// The outputs that a workgroup of `conv_patch_cooperative` computes, and its subgroups' shares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PatchTile {
    /// Output channels.
    pub rows: usize,
    /// Rows of pixels, of [`COLUMNS`](Self::COLUMNS) each.
    pub height: usize,
    /// Rows and columns of a subgroup's part of the product.
    pub part: [usize; 2],
    /// Rows and columns of its input: the tile's pixels and those that their taps reach.
    pub patch: [usize; 2],
    /// Rows and columns of the pixels that a bilinear resize makes the patch of.
    pub source: Option<[usize; 2]>,
    /// Fragments of a subgroup whose sums leave at a time.
    pub round: usize,
    /// Rows and columns of a matrix.
    pub side: usize,
    /// Lanes of a subgroup, the most where they vary.
    pub lanes: usize,
    /// The fewest.
    pub narrowest: usize,
}

impl PatchTile {
    /// Pixels of a tile's row: those of the widest fragment, which lie side by side.
    pub const COLUMNS: usize = 16;

    /// Outputs, rows of pixels, and the part of a subgroup. The larger parts are, the fewer times a
    /// product reads its factors from workgroup memory.
    const SIZES: [([usize; 2], [usize; 2]); 8] = [
        ([128, 16], [64, 64]),
        ([128, 8], [64, 64]),
        ([64, 16], [32, 64]),
        ([64, 8], [32, 64]),
        ([64, 4], [32, 32]),
        ([32, 16], [32, 64]),
        ([32, 8], [32, 32]),
        ([32, 4], [16, 32]),
    ];

    /// Every tile for `product` on `target`, the one to take first; none where the kernel does not
    /// compute it. All of them add in one order.
    pub(super) fn family(matrices: Cooperative, product: &Product, target: &Target) -> Vec<Self> {
        if !Self::computes(product) || product.group_inputs < PATCH_INPUTS {
            return Vec::new();
        }
        let tile = |(size, part)| Self::new(matrices, size, part, product, target);
        let mut family: Vec<Self> = Self::SIZES.into_iter().filter_map(tile).collect();
        family.sort_by_key(|tile| tile.cost(product));
        family
    }

    /// Whether these are enough tiles for a device to be busy, of the smallest size at least. Where they
    /// are not, others share their depth. That adds in another order, and so depends on neither the
    /// batch nor on what tuning takes.
    pub(super) fn keep_busy(family: &[Self], product: &Product) -> bool {
        let picture = Product { batch: 1, ..*product };
        family.iter().any(|tile| tile.workgroups(&picture) >= PATCH_FEW_TILES)
    }

    /// Whether it is a convolution of stride 1 with more than one tap, of pixels as wide as a tile.
    fn computes(product: &Product) -> bool {
        let Product { stride, step, phases, used_taps, taps, .. } = *product;
        (stride, phases) == (1, 1)
            && step > 0
            && taps > 1
            && used_taps[0] * used_taps[1] == taps
            && product.size[1] >= Self::COLUMNS
    }

    fn new(
        Cooperative { side, lanes, narrowest }: Cooperative,
        [rows, height]: [usize; 2],
        part: [usize; 2],
        product: &Product,
        target: &Target,
    ) -> Option<Self> {
        let part = if lanes < COOPERATIVE_WIDE_LANES { [16, 16] } else { part };
        let border = product.used_taps.map(|taps| (taps - 1) * product.step as usize);
        let patch = [height + border[0], Self::COLUMNS + border[1]];
        // Of n pixels in a row, these are made of n / 2 + 2 at most.
        let source = (product.upsample == Upsample::Bilinear).then(|| patch.map(|n| n / 2 + 2));
        let mut tile = Self { rows, height, part, patch, source, round: 1, side, lanes, narrowest };
        let fits = tile.bytes() <= target.workgroup_memory
            && tile.threads() <= target.max_invocations
            && part.iter().all(|part| part.is_multiple_of(side))
            && tile.words(source.unwrap_or(patch), 4) <= PATCH_QUADS;
        let fragments = part[0] / side;
        for round in (2..=fragments).filter(|round| fragments.is_multiple_of(*round)) {
            let larger = Self { round, ..tile };
            if larger.bytes() <= target.workgroup_memory {
                tile = larger;
            }
        }
        fits.then_some(tile)
    }

    fn parts(&self) -> usize {
        self.rows / self.part[0] * (self.height * Self::COLUMNS / self.part[1])
    }

    /// Invocations of a workgroup.
    pub fn threads(&self) -> usize {
        self.parts() * self.lanes
    }

    /// Subgroups of a workgroup at most.
    pub fn slots(&self) -> usize {
        self.threads().div_ceil(self.narrowest)
    }

    /// Words of `channels` of so many rows and columns that an invocation stages.
    pub fn words(&self, [rows, columns]: [usize; 2], channels: usize) -> usize {
        (rows * columns * SLAB / channels).div_ceil(self.threads())
    }

    /// Bytes of workgroup memory: both halves of the weights, the patch, what that is made of, and
    /// sums on their way out.
    fn bytes(&self) -> usize {
        let pixels = |[rows, columns]: [usize; 2]| rows * columns;
        let staged = 2 * self.rows + pixels(self.patch) + self.source.map_or(0, pixels);
        let sums = self.slots() * self.round * self.side * self.side;
        staged * (SLAB + 8) * size_of::<u16>() + sums * size_of::<f32>()
    }

    /// Workgroups for `product`.
    fn workgroups(&self, product: &Product) -> usize {
        self.tiles(product) * product.groups * product.batch
    }

    /// Workgroups for a group of a picture.
    pub fn tiles(&self, product: &Product) -> usize {
        let [height, width] = product.size;
        product.group_outputs.div_ceil(self.rows)
            * height.div_ceil(self.height)
            * width.div_ceil(Self::COLUMNS)
    }

    /// About how long `product` takes, in cycles of a multiprocessor per tap of a slab: as many rounds
    /// as it takes for a device to compute all tiles, each as long as its products or its reads of
    /// workgroup memory, whichever is longer, and its staging. (NVIDIA's Hopper: 1325 products and 128
    /// bytes a cycle.)
    fn cost(&self, product: &Product) -> usize {
        let pixels = self.height * Self::COLUMNS;
        let products = self.rows * pixels * SLAB / 1325;
        let read = self.parts() * (self.part[0] + self.part[1]) * SLAB * size_of::<u16>() / 128;
        let staged = self.rows * SLAB * size_of::<u16>() / 128;
        let step = products.max(read + staged) + PATCH_OVERHEAD;
        self.workgroups(product).div_ceil(COOPERATIVE_BUSY) * step
    }
}
