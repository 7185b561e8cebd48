//! What a run of the benchmarks says. The same structure is written, read again and compared.

use serde::{Deserialize, Serialize};

use super::roofline::{Peaks, Roof};
use super::runner::Clock;
use super::stats::Timing;
use crate::check::Check;

/// Changes whenever the meaning of a field does.
pub const FORMAT: u32 = 1;

/// A run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`]
    pub format: u32,
    /// The program and its version.
    pub program: String,
    /// Where it ran.
    pub machine: Machine,
    /// What this device reaches at most, as measured by the probes.
    pub peaks: Peaks,
    /// Networks and kernels.
    pub rows: Vec<Row>,
}

/// The computer and the device.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// "linux x86_64".
    pub system: String,
    /// Name of the processor, where the system tells.
    pub processor: String,
    /// Threads that the CPU executor uses.
    pub threads: usize,
    /// Name of the device.
    pub device: String,
    /// "vulkan", "cpu", …
    pub backend: String,
    /// "discrete", "software", "cpu", …
    pub kind: String,
    /// Driver and version.
    pub driver: String,
    /// Type of weights and intermediates.
    pub precision: String,
    /// Whose clock timed the kernels.
    pub clock: Clock,
}

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole network, from bytes to bytes.
    Network,
    /// A kernel alone.
    Kernel,
}

/// One case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Network or kernel.
    pub kind: Kind,
    /// The case's name, equal on every device.
    pub name: String,
    /// The kernel that computed it; empty for networks.
    pub kernel: String,
    /// The networks that need it.
    pub networks: Vec<String>,
    /// Twice the multiply-adds, convolutions counted as direct.
    pub flops: f64,
    /// What must be read and written at least.
    pub bytes: f64,
    /// Seconds per run.
    pub time: Timing,
    /// Which peak limits it, and how near it comes.
    pub roof: Roof,
    /// Whether its result is right.
    pub check: Check,
    /// Seconds that the cost model predicts, where it knows the device's rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<f64>,
    /// Of a network: its steps in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRow>,
    /// Of a network: seconds from the model to the first result, compilation included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_result: Option<f64>,
    /// Of a network: bytes that it holds on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<usize>,
}

impl Row {
    /// Operations per second.
    pub fn flops_per_second(&self) -> f64 {
        self.flops / self.time.median.max(f64::MIN_POSITIVE)
    }

    /// Bytes per second.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes / self.time.median.max(f64::MIN_POSITIVE)
    }
}

/// A step of a network.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StepRow {
    /// Name of its node.
    pub name: String,
    /// Which kernel.
    pub kernel: String,
    /// Shape of the output.
    pub output: [usize; 4],
    /// Median seconds.
    pub time: f64,
    /// As in [`Row`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<f64>,
    /// As in [`Row`].
    pub flops: f64,
    /// As in [`Row`].
    pub bytes: f64,
    /// As in [`Row`].
    pub roof: Roof,
}
