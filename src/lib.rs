//! Pentimento.
pub mod checkpoint;
#[doc(hidden)]
pub mod cpu;
mod error;
#[doc(hidden)]
pub mod gpu;
pub mod graph;
pub mod models;
pub mod nn;
pub mod plan;
pub mod tensor;
pub use error::{Error, Result};
