//! The vocabulary of pictures, below everything that computes with them.

mod format;
mod grain;
pub mod positions;

pub use format::PixelFormat;
pub use grain::{BINS, luminance, noise};
pub use positions::{Positions, Sample, View};
