//! Pictures: reading and writing files, resizing, tiles, and a network run over one picture.

mod agreement;
#[doc(hidden)]
pub mod align;
mod aligned;
mod allocate;
mod annotations;
mod asked;
mod batch;
#[cfg(any(feature = "codecs", not(target_arch = "wasm32")))]
mod boxes;
mod carried;
mod channels;
mod containers;
mod cut;
mod decode;
mod detail;
mod detect;
mod encode;
#[doc(hidden)]
pub mod enlarge;
mod exif;
mod face;
mod faces;
mod file;
mod format;
mod formats;
#[doc(hidden)]
pub mod grain;
#[cfg(feature = "codecs")]
mod heif;
mod jpeg;
#[cfg(not(target_arch = "wasm32"))]
mod jxl;
mod kept;
mod left_out;
mod looks;
#[doc(hidden)]
pub mod mask;
mod matte;
mod metadata;
mod options;
mod pages;
mod parse;
#[doc(hidden)]
pub mod paste;
mod pipeline;
mod quality;
mod resize;
mod restore;
mod search;
mod segments;
mod surface;
mod tiff;
mod tiff_file;
mod tiff_tags;
#[doc(hidden)]
pub mod tiles;
mod together;
mod tone;
mod track;
mod unsupported_formats;
mod visible;
#[doc(hidden)]
pub mod warp;
mod webp;
mod xmp;
#[doc(hidden)]
pub mod y4m;

pub use crate::models::Detection;
#[doc(hidden)]
pub use crate::wall::{silence_panics, walled};
pub use align::Landmarks;
pub use annotations::GivenFace;
#[doc(hidden)]
pub use annotations::GivenFaces;
#[doc(hidden)]
pub use batch::faces_at_a_time;
pub use batch::{Batch, BatchReport};
#[doc(hidden)]
pub use cut::Cuts;
pub use decode::{
    MAX_PIXELS, ReadOptions, decode, decode_page, decode_with_metadata, read, read_with_metadata,
};
#[doc(hidden)]
pub use detect::non_max_suppression;
pub use detect::{Detector, DetectorOptions};
pub use encode::{Encoded, Encoding, encode, encode_with, write};
pub use face::{Face, Pose};
pub use faces::{AlignedFace, Outcome, PhotoRestorer, RestoredPhoto};
#[doc(hidden)]
pub use file::{Unfinished, is_unfinished, takes_stream, where_possible, write_whole};
pub use format::Format;
#[doc(hidden)]
pub use formats::dimensions;
pub use kept::{Density, Kept};
pub use metadata::{Metadata, Samples16};
pub use options::{BlendMask, FaceSelection, PhotoOptions};
#[doc(hidden)]
pub use pages::PageNotes;
pub use pages::{Page, PageKind, Pages, PagesWriter};
pub use parse::FaceParser;
pub use pipeline::{Pipeline, PipelineBuilder, Restoration};
pub use restore::{Restored, Restorer, TileReport};
pub use track::Tracker;

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
