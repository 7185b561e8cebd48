//! A face on the device, from the photo that it is cut out of to the one that it is pasted into.

use wgpu::BufferUsages as Usage;

use super::canvas::Canvas;
use super::embed::{GpuPicture, PixelOrder};
use super::memory::Buffer;
use super::ops::{block_luminance, match_colours, tone};
use crate::{Error, Result};

/// The largest face whose blocks, at sixteen per side, `block_luminance` adds up: 2,064 pixels.
const LARGEST: usize = 129 * 16;

/// An aligned face: `size × size` pixels of four bytes, red lowest.
#[derive(Debug)]
pub struct Face {
    pub(super) buffer: Buffer,
    /// Pixels per side.
    pub size: usize,
}

impl Face {
    /// What a face's buffer is used for: kernels, a network's input and its output.
    pub(super) const USAGE: Usage = Usage::STORAGE.union(Usage::COPY_SRC).union(Usage::COPY_DST);

    /// The face as a network reads or writes it.
    pub fn picture(&self) -> GpuPicture<'_> {
        let bytes_per_row = 4 * self.size as u64;
        let buffer = &self.buffer.raw;
        GpuPicture::Buffer { buffer, offset: 0, bytes_per_row, order: PixelOrder::Rgba }
    }
}

impl Canvas {
    /// Room for a face.
    ///
    /// # Errors
    /// As [`Canvas::crop`].
    pub async fn face(&self, size: usize) -> Result<Face> {
        let buffer = self.calls.allocate("face", 4 * size * size, Face::USAGE).await?;
        Ok(Face { buffer, size })
    }

    /// A face of these pixels.
    ///
    /// # Errors
    /// As [`Canvas::crop`].
    pub async fn upload_face(&self, pixels: &[[u8; 3]], size: usize) -> Result<Face> {
        let buffer = self.calls.upload("face", &super::canvas::words(pixels)).await?;
        Ok(Face { buffer, size })
    }

    /// The pixels of a face.
    ///
    /// # Errors
    /// As [`Canvas::crop`].
    pub async fn pixels(&self, face: &Face) -> Result<Vec<[u8; 3]>> {
        self.read(&face.buffer).await
    }

    /// [`block_luminance`](crate::cpu::block_luminance) of each of two faces of a size.
    ///
    /// # Errors
    /// As [`Canvas::crop`]; [`Error::Input`] when the faces differ in size or are too large.
    pub async fn block_luminance(&self, faces: [&Face; 2], blocks: usize) -> Result<[Vec<u32>; 2]> {
        let size = faces[0].size;
        if size != faces[1].size || size > LARGEST {
            return Err(Error::Input(format!("faces of {size} pixels cannot be compared")));
        }
        let usage = Usage::STORAGE | Usage::COPY_SRC;
        let sums = self.calls.allocate("blocks", 8 * blocks * blocks, usage).await?;
        let call = block_luminance::record(size, blocks);
        self.calls.launch(&call, &[&faces[0].buffer, &faces[1].buffer, &sums]).await?;
        let mut first = self.calls.read::<u32>(&sums).await?;
        let second = first.split_off(blocks * blocks);
        Ok([first, second])
    }

    /// [`tone`](crate::cpu::tone) of a face.
    ///
    /// # Errors
    /// As [`Canvas::crop`].
    pub async fn tone(&self, tones: &[[u8; 3]], face: &Face) -> Result<Face> {
        let mut words = super::canvas::words(tones);
        words.resize(256, 0);
        let tones = self.calls.upload("tones", &words).await?;
        let toned = self.face(face.size).await?;
        let call = tone::record(face.size * face.size);
        self.calls.launch(&call, &[&tones, &face.buffer, &toned.buffer]).await?;
        Ok(toned)
    }

    /// [`match_colours`](crate::cpu::match_colours) of two faces of a size.
    ///
    /// # Errors
    /// As [`Canvas::block_luminance`].
    pub async fn match_colours(
        &self,
        original: &Face,
        restored: &Face,
        weights: &[f32],
    ) -> Result<Face> {
        let size = original.size;
        if size != restored.size {
            return Err(Error::Input(format!("a face of {size} pixels has no such colours")));
        }
        let matched = self.face(size).await?;
        let weights_len = weights.len();
        let weights = self.calls.upload("weights", weights).await?;
        let rows = self.calls.allocate("rows", 16 * size * size, Usage::STORAGE).await?;
        let [along_rows, along_columns] = match_colours::record(size, weights_len / 2);
        let (original, restored) = (&original.buffer, &restored.buffer);
        self.calls.launch(&along_rows, &[&weights, restored, original, &rows]).await?;
        self.calls.launch(&along_columns, &[&weights, restored, &rows, &matched.buffer]).await?;
        Ok(matched)
    }
}
