//! How much working memory a step's kernel needs.

use super::{Backend, Compute, Kernel, Step, Target};
use crate::graph::Param;
use crate::tensor::Shape;

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

/// Working memory of [`Kernel::ConvWinograd`] on a GPU, and how it walks over its tiles: first the
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

/// Values of a group that one workgroup of a group norm sums at least: fewer are not worth its
/// start.
const NORM_CHUNK: usize = 4096;

/// Chunks of a group at most: as many as a workgroup has invocations, each of which reads the
/// moments of one.
pub const NORM_CHUNKS: usize = 64;

/// Working memory of [`Kernel::GroupNorm`] on a GPU: the mean of each chunk of each group of each
/// sample, and the sum of the squared distances from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NormScratch {
    /// Values of a group.
    pub group: usize,
    /// Values of a chunk; the last one of a group may have fewer.
    pub chunk: usize,
    /// Chunks of a group.
    pub chunks: usize,
}

impl NormScratch {
    /// For `groups` groups of an input of `shape`.
    pub fn new(shape: Shape, groups: usize) -> Self {
        let group = shape.sample() / groups;
        let chunk = group.div_ceil(NORM_CHUNKS).max(NORM_CHUNK);
        Self { group, chunk, chunks: group.div_ceil(chunk) }
    }
}

/// f32 values of working memory that `step` needs on `target`; 0 when none. `step.scratch` is not
/// looked at.
pub fn scratch_len(step: &Step, _params: &[Param], target: &Target) -> usize {
    match (step.kernel, target.backend) {
        (Kernel::ConvWinograd, Backend::Gpu) => {
            let scratch = WinogradScratch::new(step, target);
            scratch.inputs_len() + scratch.products_len()
        }
        (Kernel::GroupNorm, Backend::Gpu) => match step.compute {
            Compute::GroupNorm { groups, .. } => {
                let shape = step.output.shape;
                2 * shape.n * groups * NormScratch::new(shape, groups).chunks
            }
            _ => 0,
        },
        _ => 0,
    }
}
