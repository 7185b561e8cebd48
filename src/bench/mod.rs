//! Benchmarks: one table of kernels and networks, measured the same way by `pentimento bench` and
//! by `benches/`.

mod cases;
#[cfg(any(target_os = "linux", windows))]
mod code;
mod compare;
#[cfg(any(target_os = "linux", windows))]
mod compile;
mod measure;
mod networks;
mod report;
mod roofline;
mod runner;
mod stats;
mod trace;
mod weights;

pub use crate::check::{Check, noise};
pub use cases::{KernelCase, kernels};
#[cfg(any(target_os = "linux", windows))]
pub use code::{Classes, Figures, Widths};
pub use compare::{Change, Comparison, Verdict};
#[cfg(any(target_os = "linux", windows))]
pub use compile::{COMPILE_FORMAT, Compilation, CompileRow, Compiler, Launchable, launchables};
pub use measure::{Bench, KernelRun};
pub use networks::{NETWORKS, Network};
pub use report::{FORMAT, Kind, Machine, Report, Row, StepRow};
pub use roofline::{Limit, Peaks, Roof};
pub use runner::Clock;
pub use stats::Timing;
pub use trace::trace;
