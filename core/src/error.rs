//! Every error of the library, as one enum.

use std::path::PathBuf;

use crate::graph::ShapeError;

/// Why an operation of this crate failed. Each message is one sentence that names the file, tensor
/// or limit concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// The failed action: "read", "write", …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A checkpoint is damaged or no checkpoint.
    #[error("{path}: {what}", path = path.display())]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// The fault, and a remedy.
        what: String,
    },
    /// A checkpoint's tensor is missing or has another shape than its network needs.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Which tensor.
        name: String,
        /// The fault.
        what: String,
    },
    /// A checkpoint's configuration is missing a value or contradicts itself.
    #[error("configuration value {name}: {what}")]
    Config {
        /// Which value.
        name: String,
        /// The fault.
        what: String,
    },
    /// No known architecture has these tensors.
    #[error("no known architecture: {0}")]
    UnknownArchitecture(String),
    /// A node of the graph does not fit its inputs.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// An input has another size than the network takes.
    #[error("{0}")]
    Input(String),
    /// A picture could not be decoded or encoded.
    #[error("{path}: {what}", path = path.display())]
    Image {
        /// Which file.
        path: PathBuf,
        /// The fault.
        what: String,
    },
    /// The device that was asked for is not there, lacks what was asked of it, or fails.
    #[error("{0}")]
    Device(String),
    /// The device stopped working; build the engine again.
    #[error("the device was lost: {0}")]
    DeviceLost(String),
    /// The work does not fit the memory.
    #[error("{needed:.1} MB of memory are needed, {available:.1} MB are allowed: {hint}",
        needed = *needed as f64 / 1e6, available = *available as f64 / 1e6)]
    OutOfMemory {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that there are, or that the budget allows.
        available: usize,
        /// A remedy.
        hint: String,
    },
    /// An output holds NaN or infinity.
    #[error("node {node} produced NaN or infinity; try the precision f32, or another checkpoint")]
    NonFinite {
        /// The first node whose values are not finite.
        node: String,
    },
    /// A [`Control`](crate::Control) stopped the work.
    #[error("cancelled")]
    Cancelled,
    /// A contradiction inside of this crate.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
