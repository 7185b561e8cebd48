//! The work of a product of matrices, whatever computes it, and whether its depth is shared.

/// Parts that a workgroup divides the depth among where there are few tiles: one tile alone keeps too
/// few invocations at work for a GPU to hide that they wait for their loads.
pub const SPLITS: usize = 4;

/// Channels from which on it is: with fewer, most parts would have nothing to sum.
const LEAST_INPUTS: usize = 33;

/// The products of a launch.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Output channels of one product.
    pub rows: usize,
    /// Pixels of one product.
    pub columns: usize,
    /// Input channels of one product.
    pub inputs: usize,
    /// Products of one picture.
    pub groups: usize,
    /// Pictures.
    pub batch: usize,
}

impl Work {
    /// Whether depths are shared where a picture has fewer than `few` tiles of 64 × 64. That changes
    /// the order of sums, so it depends on nothing else: neither tuning nor a batch changes a result.
    pub(super) fn shares_depth(&self, few: usize) -> bool {
        let tiles = self.rows.div_ceil(64) * self.columns.div_ceil(64) * self.groups;
        tiles < few && self.inputs >= LEAST_INPUTS
    }
}
