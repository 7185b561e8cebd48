//! An aligned face, in memory or on a GPU.

use super::align::Affine;
use crate::gpu::{self, GpuPicture};
use crate::{Error, Result};

/// An aligned face where its surface is: in memory as rows of pixels, or on the same GPU.
#[derive(Debug)]
pub enum AlignedPixels {
    /// `[size, size]`.
    Cpu(Vec<[u8; 3]>),
    /// It does not leave the device before somebody asks for it.
    Gpu(gpu::Face),
}

/// A face that was cut out of its photo.
pub struct CutOut {
    /// What the network gets.
    pub crop: AlignedPixels,
    /// From the photo to the crop.
    pub to_face: Affine,
    /// Whether the dots of a print cover it in the photo; in the crop they are averaged.
    pub dotted: bool,
}

impl AlignedPixels {
    /// The pixels of a face that is in memory.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is not.
    pub fn in_memory(&self) -> Result<&[[u8; 3]]> {
        match self {
            Self::Cpu(pixels) => Ok(pixels),
            Self::Gpu(_) => Err(elsewhere()),
        }
    }

    /// A face on a GPU, as a network reads or writes it.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is in memory.
    pub fn on_gpu(&self) -> Result<GpuPicture<'_>> {
        match self {
            Self::Gpu(face) => Ok(face.picture()),
            Self::Cpu(_) => Err(elsewhere()),
        }
    }
}

/// The error of a face that is not where its photo is.
pub(super) fn elsewhere() -> Error {
    Error::Internal("a face is not where its photo is".to_owned())
}
