//! Graph → plan: pure functions that fuse, choose kernels and place buffers. Knows no device.

mod arrange;
mod concat;
mod cost;
mod dump;
mod fuse;
mod isolate;
mod join;
mod kernels;
mod layout;
mod lower;
mod place;
mod products;
mod scratch;
mod select;
mod step;
mod target;
mod work;

pub use cost::{Bound, Cost, Counts, Rates};
pub use dump::fused;
pub use kernels::Variant;
pub use layout::{Layout, PANEL_ROWS, SLAB, WINOGRAD_POINTS, Weight, pack, packed_len};
pub use products::{Product, are_alike, products};
pub use scratch::{
    NORM_CHUNKS, NormScratch, WINOGRAD_BLOCK, WINOGRAD_TILE, WINOGRAD_VALUES, WinogradScratch,
    scratch_len,
};
pub use select::{
    CooperativeTile, DirectTile, GemmTile, LinearForm, PatchTile, PathForm, PathRun, PathTile,
    THRESHOLDS, Threshold, WindowTile,
};
pub use step::{BLOCK, Convolution, Epilogue, Sft, Step, Storage, StorageId, Upsample, View};
pub use target::{Backend, Cooperative, Target, vector_lanes};
pub use work::Work;

use std::sync::Arc;

use crate::error::Result;
use crate::graph::Graph;

/// A graph made ready for one target.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Holds the parameters.
    pub graph: Arc<Graph>,
    /// For whom.
    pub target: Target,
    /// The steps, in order of execution.
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

impl Plan {
    /// What a kernel is chosen by.
    fn context(&self) -> select::Context<'_> {
        let Self { target, graph, storages, .. } = self;
        select::Context { target, graph, storages }
    }

    /// Every variant that can compute step `index`, the one that is planned first.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when the step is none.
    pub fn candidates(&self, index: usize) -> Result<Vec<Variant>> {
        select::candidates(&self.steps[index], self.context())
    }

    /// Gives step `index` the first of its candidates that is called `name`; whether there is one
    /// that needs no more working memory than the step has.
    ///
    /// # Errors
    /// As [`candidates`](Self::candidates).
    pub fn force(&mut self, index: usize, name: &str) -> Result<bool> {
        let candidates = self.candidates(index)?;
        let step = &mut self.steps[index];
        for variant in candidates.into_iter().filter(|variant| variant.name() == name) {
            let forced = Step { variant, ..step.clone() };
            if step.scratch.is_some() || scratch_len(&forced, &self.target) == 0 {
                *step = forced;
                return Ok(true);
            }
        }
        Ok(false)
    }
}
