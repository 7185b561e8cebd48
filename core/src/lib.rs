//! The engine without devices: graphs of operations, plans of kernels, and the executor that runs
//! plans on the CPU. The crate [`pentimento`](https://docs.rs/pentimento) adds networks, pictures and
//! GPUs, and names all of it; programs need this crate by itself for graphs of their own on the CPU.
//!
//! What is here may change in any release.

#![deny(missing_docs)]

#[doc(hidden)]
pub mod allocate;
pub mod control;
pub mod cpu;
mod error;
pub mod graph;
pub mod pixels;
pub mod plan;
pub mod tensor;

pub use control::Control;
pub use error::{Error, Result};
pub use tensor::Shape;
