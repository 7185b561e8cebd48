//! A photo on the device: faces are cut out of it and pasted back there.

use wgpu::BufferUsages as Usage;

use super::Device;
use super::call::Calls;
use super::face::Face;
use super::memory::Buffer;
use super::ops::{grain_histogram, paste, warp_affine};
use crate::pixels::{BINS, Positions};
use crate::{Error, Result};

/// The photo as it was, and as it becomes, which may be larger.
#[derive(Debug)]
pub struct Canvas {
    pub(super) calls: Calls,
    photo: Buffer,
    photo_size: [usize; 2],
    result: Buffer,
    size: [usize; 2],
}

/// A restored face on its way into the result.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// The face.
    pub face: &'a Face,
    /// What it was restored from, of the same size.
    pub crop: &'a Face,
    /// How much of the face is taken, 0 to 1, `mask_side × mask_side` values.
    pub mask: &'a [f32],
    /// See `mask`.
    pub mask_side: usize,
    /// Top, left, height and width of what it touches in the result.
    pub area: [usize; 4],
    /// Where the pixels of the area come from in the face.
    pub face_positions: &'a Positions,
    /// Where the pixels of the area come from in the mask.
    pub mask_positions: &'a Positions,
    /// Where the pixels of the area come from in the photo as it was.
    pub photo_positions: &'a Positions,
    /// Factor on the mask.
    pub strength: f32,
    /// The variance of the damage in the photo, in levels of luminance.
    pub damage: f32,
}

impl Canvas {
    /// Uploads a photo, `[height, width]`, and what its result begins with. `None` where one of them
    /// is larger than the device's bindings.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`]; [`Error::Input`] when the pixels are not as
    /// many as the sizes say.
    pub async fn new(
        device: &Device,
        photo: (&[[u8; 3]], [usize; 2]),
        result: (&[[u8; 3]], [usize; 2]),
    ) -> Result<Option<Self>> {
        let limit = device.info().max_binding.min(device.info().max_buffer) as usize;
        for (pixels, [height, width]) in [photo, result] {
            if pixels.len() != height.saturating_mul(width) || pixels.is_empty() {
                return Err(Error::Input(format!("{height} × {width} are not {}", pixels.len())));
            }
            if pixels.len() > limit / 4 {
                return Ok(None);
            }
        }
        let calls = Calls { device: device.clone() };
        let (photo, photo_size) = (calls.upload("photo", &words(photo.0)).await?, photo.1);
        let (result, size) = (calls.upload("photo", &words(result.0)).await?, result.1);
        Ok(Some(Self { calls, photo, photo_size, result, size }))
    }

    /// The pixels of the photo at `positions`, `size²` means of `factor²` of them; `border` lies
    /// around the photo.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`] or [`Error::Device`] when the device fails;
    /// [`Error::Input`] when the positions are not those of a square.
    pub async fn crop(
        &self,
        positions: &Positions,
        factor: usize,
        border: [u8; 3],
    ) -> Result<Face> {
        let [size, width] =
            [positions.rows.len(), positions.columns.len()].map(|n| n / factor.max(1));
        if size != width {
            return Err(Error::Input(format!("a face is a square, not {width} × {size} pixels")));
        }
        let face = self.face(size).await?;
        let positions = self.positions(positions).await?;
        let call = warp_affine::record(self.photo_size, [size; 2], factor, border);
        self.calls.launch(&call, &[&self.photo, &positions, &face.buffer]).await?;
        Ok(face)
    }

    /// Pastes a face into the result; `grain` says from both histograms of
    /// [`grain_histogram`](crate::cpu::grain_histogram), of the result's area and of the face
    /// there, how much grain it gets, in levels.
    ///
    /// # Errors
    /// As [`Canvas::crop`]; [`Error::Input`] when the sizes contradict each other.
    pub async fn paste(
        &self,
        patch: &Patch<'_>,
        grain: impl FnOnce(&[u32], &[u32]) -> f32,
    ) -> Result<()> {
        let [top, left, height, width] = patch.area;
        let fits = |positions: &Positions| {
            (positions.rows.len(), positions.columns.len()) == (height, width)
        };
        if patch.mask.len() != patch.mask_side * patch.mask_side
            || !fits(patch.face_positions)
            || !fits(patch.mask_positions)
            || !fits(patch.photo_positions)
            || patch.crop.size != patch.face.size
            || top + height > self.size[0]
            || left + width > self.size[1]
        {
            return Err(Error::Input("a patch does not fit its photo".to_owned()));
        }
        let mask = self.calls.upload("mask", patch.mask).await?;
        let in_face = self.positions(patch.face_positions).await?;
        let in_mask = self.positions(patch.mask_positions).await?;
        let in_photo = self.positions(patch.photo_positions).await?;
        let faces = (&in_face, [patch.face.size; 2]);
        let warped = self.warped(&patch.face.buffer, faces, [height, width]).await?;
        let crop = self.warped(&patch.crop.buffer, faces, [height, width]).await?;
        let photo = (&in_photo, self.photo_size);
        let original = self.warped(&self.photo, photo, [height, width]).await?;

        let layout = [self.size[1], top * self.size[1] + left];
        let counts = self.calls.upload("counts", &[0_u32; 2 * BINS]).await?;
        let call = grain_histogram::record([height, width], layout, patch.mask_side);
        self.calls.launch(&call, &[&self.result, &warped, &mask, &in_mask, &counts]).await?;
        let counts = self.calls.read::<u32>(&counts).await?;
        let amounts = [patch.strength, grain(&counts[..BINS], &counts[BINS..]), patch.damage];
        let call = paste::record([height, width], layout, patch.mask_side, amounts);
        let buffers = [&warped, &crop, &original, &mask, &in_mask, &self.result];
        self.calls.launch(&call, &buffers).await
    }

    /// The pixels of a picture of `[height, width]` at `positions`, `size` of them.
    async fn warped(
        &self,
        source: &Buffer,
        (positions, source_size): (&Buffer, [usize; 2]),
        size: [usize; 2],
    ) -> Result<Buffer> {
        let warped = self.calls.allocate("face", size[0] * size[1] * 4, Usage::STORAGE).await?;
        let call = warp_affine::record(source_size, size, 1, [0; 3]);
        self.calls.launch(&call, &[source, positions, &warped]).await?;
        Ok(warped)
    }

    /// [`grain_histogram`](crate::cpu::grain_histogram) of each of two faces of a size, where `mask`,
    /// a square of `mask_side` sampled at `positions`, is above a half.
    ///
    /// # Errors
    /// As [`Canvas::crop`]; [`Error::Input`] when the sizes contradict each other.
    pub async fn histograms(
        &self,
        faces: [&Face; 2],
        (mask, mask_side): (&[f32], usize),
        positions: &Positions,
    ) -> Result<[Vec<u32>; 2]> {
        let size = faces[0].size;
        let sides = [positions.rows.len(), positions.columns.len()];
        if size != faces[1].size || sides != [size; 2] || mask.len() != mask_side * mask_side {
            return Err(Error::Input("a mask does not fit its faces".to_owned()));
        }
        let mask = self.calls.upload("mask", mask).await?;
        let in_mask = self.positions(positions).await?;
        let counts = self.calls.upload("counts", &[0_u32; 2 * BINS]).await?;
        let call = grain_histogram::record([size; 2], [size, 0], mask_side);
        let [a, b] = faces.map(|face| &face.buffer);
        self.calls.launch(&call, &[a, b, &mask, &in_mask, &counts]).await?;
        let mut first = self.calls.read::<u32>(&counts).await?;
        let second = first.split_off(BINS);
        Ok([first, second])
    }

    /// The result.
    ///
    /// # Errors
    /// As [`Canvas::crop`].
    pub async fn finish(self) -> Result<Vec<[u8; 3]>> {
        self.read(&self.result).await
    }

    async fn positions(&self, positions: &Positions) -> Result<Buffer> {
        let all: Vec<[i32; 2]> = positions.columns.iter().chain(&positions.rows).copied().collect();
        self.calls.upload("positions", &all).await
    }

    pub(super) async fn read(&self, buffer: &Buffer) -> Result<Vec<[u8; 3]>> {
        let words: Vec<u32> = self.calls.read(buffer).await?;
        Ok(words.into_iter().map(|word| [0, 8, 16].map(|shift| (word >> shift) as u8)).collect())
    }
}

pub(super) fn words(pixels: &[[u8; 3]]) -> Vec<u32> {
    pixels.iter().map(|&[r, g, b]| u32::from_le_bytes([r, g, b, 0])).collect()
}
