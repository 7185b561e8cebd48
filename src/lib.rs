//! GAN-prior face restoration on any GPU.

mod error;
pub mod graph;
pub mod plan;
pub mod tensor;

pub use error::{Error, Result};
