//! Pictures: reading and writing files, resizing, tiles, and a network run over one picture.

mod decode;
mod detect;
mod encode;
mod jpeg;
mod resize;
mod restore;
pub mod tiles;

pub use crate::models::Detection;
pub use decode::{MAX_PIXELS, decode, read};
pub use detect::{Detector, Selection, thinned};
pub use encode::{Format, write};
pub use restore::{Restored, Restorer, Work};

/// An upright 8-bit picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, 3]`, red first.
    pub rgb: Vec<u8>,
    /// `[height, width]` where the picture has transparency; no network sees it.
    pub alpha: Option<Vec<u8>>,
    /// The ICC profile of `rgb`, copied from input to output; sRGB where there is none.
    pub icc: Option<Vec<u8>>,
}
