//! Graph → plan: pure functions that fuse, choose kernels and place buffers. Knows no device.

mod concat;
mod dump;
mod fuse;
mod isolate;
mod layout;
mod lower;
mod pixels;
mod place;
mod scratch;
mod select;
mod step;
mod target;
mod work;

pub use layout::{Layout, PANEL_ROWS, Weight, pack, packed_len};
pub use pixels::PixelFormat;
pub use scratch::{
    NORM_CHUNKS, NormScratch, WINOGRAD_BLOCK, WINOGRAD_TILE, WINOGRAD_VALUES, WinogradScratch,
    scratch_len,
};
pub use select::select;
pub use step::{Compute, Epilogue, Kernel, Sft, Step, Storage, StorageId, Upsample, View};
pub use target::{Backend, Cooperative, Target};
pub use work::Work;

use std::sync::Arc;

use crate::graph::Graph;

/// A graph made ready for one target.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Holds the parameters.
    pub graph: Arc<Graph>,
    /// For whom.
    pub target: Target,
    /// What to execute, in order.
    pub steps: Vec<Step>,
    /// Every intermediate's memory.
    pub storages: Vec<Storage>,
    /// Bytes of each block of the arena.
    pub blocks: Vec<usize>,
    /// Where the caller's inputs go.
    pub inputs: Vec<View>,
    /// Where the results stand after the last step.
    pub outputs: Vec<View>,
}
