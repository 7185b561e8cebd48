//! Working memory of `conv_winograd`.

use crate::plan::{Step, Target};

/// Values per tile and channel in the transformed domain of F(4×4, 3×3): 6 × 6.
pub const WINOGRAD_VALUES: usize = 36;

/// Output rows and columns of a tile of F(4×4, 3×3).
pub const WINOGRAD_TILE: usize = 4;

/// Tiles come in blocks of this many: the columns of one matrix tile.
pub const WINOGRAD_BLOCK: usize = 64;

/// Bytes of working memory that a Winograd step aims at: transformed inputs and products stay in
/// the last-level cache of most GPUs and CPUs between the three dispatches.
const WINOGRAD_BYTES: usize = 16 << 20;

/// Values between two frequencies beyond their own: one cache line, so that the 36 values of a
/// tile do not fall into the same set of a cache.
const WINOGRAD_GAP: usize = 16;

/// Working memory of `Variant::ConvWinograd` on a GPU, and how it walks over its tiles: first the
/// transformed inputs, then the products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WinogradScratch {
    /// Tiles of all samples, row by row.
    pub tiles: usize,
    /// Tiles that are worked on at a time, a multiple of [`WINOGRAD_BLOCK`].
    pub chunk: usize,
    /// Values from one frequency of the transformed inputs to the next.
    pub inputs_stride: usize,
    /// Values from one frequency of the products to the next.
    pub products_stride: usize,
}

impl WinogradScratch {
    /// For `step` on `target`.
    pub fn new(step: &Step, target: &Target) -> Self {
        let output = step.output.shape;
        let tiles = output.n * output.h.div_ceil(WINOGRAD_TILE) * output.w.div_ceil(WINOGRAD_TILE);
        let channels = step.input_shape().c + output.c;
        let bytes = WINOGRAD_BYTES.min(target.max_binding);
        let fitting = bytes / (WINOGRAD_VALUES * channels * size_of::<f32>());
        let blocks = tiles.div_ceil(WINOGRAD_BLOCK).min(fitting / WINOGRAD_BLOCK).max(1);
        // Equal chunks: none is a small remainder.
        let chunks = tiles.div_ceil(WINOGRAD_BLOCK).div_ceil(blocks);
        let chunk = tiles.div_ceil(chunks).next_multiple_of(WINOGRAD_BLOCK);
        Self {
            tiles,
            chunk,
            inputs_stride: step.input_shape().c * chunk + WINOGRAD_GAP,
            products_stride: output.c * chunk + WINOGRAD_GAP,
        }
    }

    /// Values of the transformed inputs: a multiple of 64, so that what follows is aligned to
    /// 256 bytes.
    pub fn inputs_len(&self) -> usize {
        (WINOGRAD_VALUES * self.inputs_stride).next_multiple_of(64)
    }

    /// Values of the products.
    pub fn products_len(&self) -> usize {
        (WINOGRAD_VALUES * self.products_stride).next_multiple_of(64)
    }
}

/// The transformed inputs and the products.
pub fn len(step: &Step, target: &Target) -> usize {
    let scratch = WinogradScratch::new(step, target);
    scratch.inputs_len() + scratch.products_len()
}
