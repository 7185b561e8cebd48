//! How long a step should take on a GPU: its variant's own counts over the rates of the device. Pure.
//!
//! ```text
//! time = launches · launch + (products, staging) / busy + epilogue / busy
//! ```
//!
//! Matrix units work beside the loads that feed them, so the slower of the two counts. Products of
//! ordinary arithmetic have too few subgroups under way to hide anything: their arithmetic, their
//! reads of workgroup memory and their staging add up. `busy` is the share of the device's units that
//! have a workgroup. Serial loads of one invocation bound a kernel from below.

mod counts;
mod occupancy;
mod rates;

pub use counts::Counts;
pub use rates::Rates;

use super::{CooperativeTile, GemmTile, PatchTile, Plan, Product, Step};
use crate::tensor::Dtype;

/// What takes most of a step's predicted time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Cooperative matrices.
    Matrix,
    /// Ordinary products.
    Arithmetic,
    /// Loads that fill workgroup memory.
    Staging,
    /// Reads of workgroup memory.
    Workgroup,
    /// Memory.
    Memory,
    /// Instructions around the products: addresses, epilogues.
    Issue,
    /// Loads that wait for each other.
    Latency,
    /// Starting work.
    Launch,
}

impl Bound {
    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Arithmetic => "f32",
            Self::Staging => "staging",
            Self::Workgroup => "workgroup",
            Self::Memory => "memory",
            Self::Issue => "issue",
            Self::Latency => "latency",
            Self::Launch => "launch",
        }
    }
}

/// A step's predicted time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cost {
    /// Seconds.
    pub seconds: f64,
    /// What takes most of them.
    pub bound: Bound,
    /// What was counted.
    pub counts: Counts,
}

impl Plan {
    /// The predicted time of `step`; `None` for the CPU and for steps that no kernel computes.
    pub fn cost(&self, step: &Step, rates: &Rates) -> Option<Cost> {
        Counts::of(step, self).map(|counts| rates.cost(counts))
    }

    /// Seconds of all steps, one after the other; `None` as for [`cost`](Self::cost). What the host does
    /// is not in it: [`Rates::host`].
    pub fn predicted(&self, rates: &Rates) -> Option<f64> {
        self.steps.iter().map(|step| Some(self.cost(step, rates)?.seconds)).sum()
    }
}

impl Rates {
    /// Seconds of a product by cooperative matrices, tiled so.
    pub(super) fn cooperative(&self, product: &Product, tile: &CooperativeTile) -> f64 {
        let mut counts = Counts::default();
        counts.cooperative(product, tile);
        self.cost(counts.with_epilogue()).seconds
    }

    /// Seconds of a product by cooperative matrices whose input is staged once, tiled so.
    pub(super) fn patch(&self, product: &Product, tile: &PatchTile) -> f64 {
        let mut counts = Counts::default();
        counts.patch(product, tile);
        self.cost(counts.with_epilogue()).seconds
    }

    /// Seconds of a product by ordinary arithmetic, tiled so, from values of this type.
    pub(super) fn gemm(&self, product: &Product, tile: &GemmTile, dtype: Dtype) -> f64 {
        let mut counts = Counts::default();
        counts.gemm(product, tile, dtype.size() as f64);
        self.cost(counts.with_epilogue()).seconds
    }

    /// The time of what was counted.
    pub fn cost(&self, counts: Counts) -> Cost {
        let busy = (counts.workgroups / self.units).clamp(f64::MIN_POSITIVE, 1.0);
        let share = |seconds: f64| seconds / busy.max(1.0 / self.units);
        let matrix = share(2.0 * counts.matrix_products / self.matrix.unwrap_or(self.f32));
        let arithmetic = share(2.0 * counts.products / self.f32);
        let staging = share((counts.staged_bytes + counts.gathered_bytes) / self.staging);
        let workgroup = share(counts.workgroup_bytes / self.workgroup);
        let issue = share(counts.slots / (self.f32 / 2.0));
        let memory = counts.memory_bytes / self.memory;
        let latency = counts.serial_loads * self.latency;
        let launch = counts.launches * self.launch;

        let products = if counts.matrix_products > 0.0 {
            matrix.max(staging).max(workgroup)
        } else {
            arithmetic + staging + workgroup
        };
        let work = (products + issue).max(memory).max(latency);
        let parts = [
            (Bound::Matrix, matrix),
            (Bound::Arithmetic, arithmetic),
            (Bound::Staging, staging),
            (Bound::Workgroup, workgroup),
            (Bound::Memory, memory),
            (Bound::Issue, issue),
            (Bound::Latency, latency),
            (Bound::Launch, launch),
        ];
        let largest = parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let bound = largest.map_or(Bound::Launch, |(bound, _)| bound);
        Cost { seconds: launch + work, bound, counts }
    }
}
