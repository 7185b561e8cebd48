//! Pictures: reading and writing files, resizing, tiles, and a network run over one picture.

mod agreement;
#[doc(hidden)]
pub mod align;
mod allocate;
mod annotations;
mod decode;
mod detect;
mod encode;
#[doc(hidden)]
pub mod enlarge;
mod exif;
mod face;
mod faces;
mod file;
mod formats;
#[doc(hidden)]
pub mod grain;
mod jpeg;
#[doc(hidden)]
pub mod mask;
mod metadata;
mod options;
mod pages;
mod parse;
#[doc(hidden)]
pub mod paste;
mod resize;
mod restore;
mod search;
mod surface;
mod tiff;
#[doc(hidden)]
pub mod tiles;
mod track;
mod unsupported_formats;
mod wall;
#[doc(hidden)]
pub mod warp;
#[doc(hidden)]
pub mod y4m;

pub use crate::models::Detection;
pub use align::Landmarks;
pub use annotations::GivenFace;
#[doc(hidden)]
pub use annotations::GivenFaces;
pub use decode::{MAX_PIXELS, ReadOptions, decode, decode_with_metadata, read, read_with_metadata};
#[doc(hidden)]
pub use detect::non_max_suppression;
pub use detect::{Detector, DetectorOptions};
pub use encode::{Format, encode, write};
pub use face::{Face, Pose};
pub use faces::{AlignedFace, Outcome, PhotoRestorer, RestoredPhoto};
#[doc(hidden)]
pub use file::{Unfinished, is_unfinished, write_whole};
#[doc(hidden)]
pub use formats::dimensions;
pub use metadata::{Metadata, Samples16};
pub use options::{BlendMask, FaceSelection, PhotoOptions};
pub use pages::{Page, PageKind, Pages};
pub use parse::FaceParser;
pub use restore::{Restored, Restorer, TileReport};
pub use track::Tracker;
#[doc(hidden)]
pub use wall::{THREAD as WALLED_THREAD, walled};

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
