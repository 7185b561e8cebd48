//! How much working memory a step's kernel needs.

use super::{Backend, Kernel, Step, Target};
use crate::graph::Param;

/// Values per tile and channel in the transformed domain of F(4×4, 3×3): 6 × 6.
pub const WINOGRAD_VALUES: usize = 36;

/// Output rows and columns of a tile of F(4×4, 3×3).
pub const WINOGRAD_TILE: usize = 4;

/// Tiles come in blocks of this many, the columns of one matrix tile.
pub const WINOGRAD_BLOCK: usize = 64;

/// Bytes of working memory that a Winograd step aims at: transformed inputs and products stay in
/// the last-level cache of most GPUs and CPUs between the three dispatches.
const WINOGRAD_BYTES: usize = 16 << 20;

/// How [`Kernel::ConvWinograd`] on a GPU walks over its tiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WinogradChunks {
    /// Tiles of all samples, row by row.
    pub tiles: usize,
    /// Tiles that are in scratch at a time, a multiple of [`WINOGRAD_BLOCK`].
    pub chunk: usize,
}

impl WinogradChunks {
    /// For `step` on `target`.
    pub fn new(step: &Step, target: &Target) -> Self {
        let output = step.output.shape;
        let tiles = output.n * output.h.div_ceil(WINOGRAD_TILE) * output.w.div_ceil(WINOGRAD_TILE);
        let channels = step.input_shape().c + output.c;
        let bytes = WINOGRAD_BYTES.min(target.max_binding);
        let fitting = bytes / (WINOGRAD_VALUES * channels * size_of::<f32>());
        let chunk = fitting.min(tiles.next_multiple_of(WINOGRAD_BLOCK)) / WINOGRAD_BLOCK;
        Self { tiles, chunk: chunk.max(1) * WINOGRAD_BLOCK }
    }
}

/// f32 values of working memory that `step` needs on `target`; 0 when none. `step.scratch` is not
/// looked at.
pub fn scratch_len(step: &Step, _params: &[Param], target: &Target) -> usize {
    match (step.kernel, target.backend) {
        (Kernel::ConvWinograd, Backend::Gpu | Backend::SoftwareGpu) => {
            let channels = step.input_shape().c + step.output.shape.c;
            WINOGRAD_VALUES * channels * WinogradChunks::new(step, target).chunk
        }
        _ => 0,
    }
}
