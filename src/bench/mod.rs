//! Benchmarks: one table of kernels and networks, measured the same way by `pentimento bench` and
//! by `benches/`.

mod cases;
mod check;
mod compare;
mod measure;
mod networks;
mod report;
mod roofline;
mod runner;
mod stats;
mod trace;
mod weights;

pub use cases::{KernelCase, kernels};
pub use check::Check;
pub use compare::{Change, Comparison, Verdict};
pub use measure::{Bench, KernelRun};
pub use networks::{NETWORKS, Network};
pub use report::{FORMAT, Kind, Machine, Report, Row, StepRow};
pub use roofline::{Limit, Peaks, Roof};
pub use runner::Clock;
pub use stats::Timing;
pub use trace::trace;
pub use weights::noise;
