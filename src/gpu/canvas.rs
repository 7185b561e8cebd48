//! A photo on the device: faces are cut out of it and pasted back there.

use bytemuck::cast_slice;
use wgpu::BufferUsages as Usage;

use super::Device;
use super::mapping::read_back;
use super::memory::Buffer;
use super::ops::{Call, grain_histogram, paste, warp_affine};
use crate::cpu::grain_histogram::BINS;
use crate::cpu::warp_affine::Positions;
use crate::{Error, Result};

/// The photo as it was, and as it becomes, which may be larger.
#[derive(Debug)]
pub struct Canvas {
    device: Device,
    photo: Buffer,
    photo_size: [usize; 2],
    result: Buffer,
    size: [usize; 2],
    /// Whether the calling thread may be blocked while the device works.
    blocking: bool,
}

/// A restored face on its way into the result.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// `side × side` pixels.
    pub face: &'a [[u8; 3]],
    /// See `face`.
    pub side: usize,
    /// How much of the face is taken, 0 to 1, `mask_side × mask_side` values.
    pub mask: &'a [f32],
    /// See `mask`.
    pub mask_side: usize,
    /// Top, left, height and width of what it touches in the result.
    pub area: [usize; 4],
    /// Where the pixels of the area come from in the face.
    pub face_positions: &'a Positions,
    /// The same in the mask.
    pub mask_positions: &'a Positions,
    /// Factor on the mask.
    pub strength: f32,
}

impl Canvas {
    /// Uploads a photo, `[height, width]`, and what its result begins with. `None` where one of them
    /// is larger than the device's bindings. `blocking`: whether the calling thread may be blocked.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`]; [`Error::Input`] when the pixels are not as
    /// many as the sizes say.
    pub async fn new(
        device: &Device,
        photo: (&[[u8; 3]], [usize; 2]),
        result: (&[[u8; 3]], [usize; 2]),
        blocking: bool,
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
        let (photo, photo_size) = (upload(device, "photo", &words(photo.0)).await?, photo.1);
        let (result, size) = (upload(device, "photo", &words(result.0)).await?, result.1);
        Ok(Some(Self { device: device.clone(), photo, photo_size, result, size, blocking }))
    }

    /// The pixels of the photo at `positions`, each the mean of `factor²` of them; `border` lies
    /// around the photo.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`] or [`Error::Device`] when the device fails.
    pub async fn crop(
        &self,
        positions: &Positions,
        factor: usize,
        border: [u8; 3],
    ) -> Result<Vec<[u8; 3]>> {
        let size = [positions.rows.len(), positions.columns.len()].map(|n| n / factor.max(1));
        let bytes = size[0] * size[1] * 4;
        let out = self.allocate("face", bytes, Usage::STORAGE | Usage::COPY_SRC).await?;
        let positions = self.positions(positions).await?;
        let call = warp_affine::record(self.photo_size, size, factor, border);
        self.launch(&call, &[&self.photo, &positions, &out]).await?;
        self.read(&out).await
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
        if patch.face.len() != patch.side * patch.side
            || patch.mask.len() != patch.mask_side * patch.mask_side
            || !fits(patch.face_positions)
            || !fits(patch.mask_positions)
            || top + height > self.size[0]
            || left + width > self.size[1]
        {
            return Err(Error::Input("a patch does not fit its photo".to_owned()));
        }
        let face = upload(&self.device, "face", &words(patch.face)).await?;
        let mask = upload(&self.device, "mask", patch.mask).await?;
        let in_face = self.positions(patch.face_positions).await?;
        let in_mask = self.positions(patch.mask_positions).await?;
        let warped = self.allocate("face", height * width * 4, Usage::STORAGE).await?;
        let call = warp_affine::record([patch.side; 2], [height, width], 1, [0; 3]);
        self.launch(&call, &[&face, &in_face, &warped]).await?;

        let layout = [self.size[1], top * self.size[1] + left];
        let counts = upload(&self.device, "counts", &[0_u32; 2 * BINS]).await?;
        let call = grain_histogram::record([height, width], layout, patch.mask_side);
        self.launch(&call, &[&self.result, &warped, &mask, &in_mask, &counts]).await?;
        let counts = self.read_words(&counts).await?;
        let amounts = [patch.strength, grain(&counts[..BINS], &counts[BINS..])];
        let call = paste::record([height, width], layout, patch.mask_side, amounts);
        self.launch(&call, &[&warped, &mask, &in_mask, &self.result]).await
    }

    /// The result.
    ///
    /// # Errors
    /// As [`Canvas::crop`].
    pub async fn finish(self) -> Result<Vec<[u8; 3]>> {
        self.read(&self.result).await
    }

    async fn allocate(&self, label: &str, bytes: usize, usage: Usage) -> Result<Buffer> {
        let inner = &self.device.inner;
        inner.allocator.allocate(&inner.raw, label, bytes, usage).await
    }

    async fn positions(&self, positions: &Positions) -> Result<Buffer> {
        let all: Vec<[i32; 2]> = positions.columns.iter().chain(&positions.rows).copied().collect();
        upload(&self.device, "positions", &all).await
    }

    async fn launch(&self, call: &Call, buffers: &[&Buffer]) -> Result<()> {
        let inner = &self.device.inner;
        inner.pipelines.prepare(&inner.raw, &[&call.shader]).await?;
        let missing = || Error::Device(format!("{} was not prepared", call.shader.kernel));
        let pipeline = inner.pipelines.get(&call.shader).ok_or_else(missing)?;
        // A uniform block is a multiple of 16 bytes.
        let mut words = call.params.clone();
        words.resize(words.len().next_multiple_of(4), 0);
        let usage = Usage::UNIFORM | Usage::COPY_DST;
        let params = self.allocate("parameters", words.len() * 4, usage).await?;
        inner.queue.write_buffer(&params.raw, 0, cast_slice(&words));
        let all = [&params].into_iter().chain(buffers.iter().copied());
        let entries: Vec<_> = (0..)
            .zip(all)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.raw.as_entire_binding(),
            })
            .collect();
        let bind_group = inner.raw.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(call.shader.kernel),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let mut encoder = self.encoder();
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.raw);
            pass.set_bind_group(0, &bind_group, &[]);
            let [x, y, z] = call.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        inner.queue.submit([encoder.finish()]);
        self.device.check()
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.inner.raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    async fn read_words(&self, buffer: &Buffer) -> Result<Vec<u32>> {
        let bytes = buffer.bytes();
        let copy = self.allocate("results", bytes, Usage::MAP_READ | Usage::COPY_DST).await?;
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(&buffer.raw, 0, &copy.raw, 0, bytes as u64);
        self.device.inner.queue.submit([encoder.finish()]);
        let words =
            |bytes: &[u8]| bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        read_back(&self.device, &copy, bytes, self.blocking, words).await
    }

    async fn read(&self, buffer: &Buffer) -> Result<Vec<[u8; 3]>> {
        let words = self.read_words(buffer).await?;
        Ok(words.into_iter().map(|word| [0, 8, 16].map(|shift| (word >> shift) as u8)).collect())
    }
}

async fn upload<T: bytemuck::NoUninit>(
    device: &Device,
    label: &str,
    values: &[T],
) -> Result<Buffer> {
    let bytes: &[u8] = cast_slice(values);
    let usage = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
    let inner = &device.inner;
    let buffer = inner.allocator.allocate(&inner.raw, label, bytes.len(), usage).await?;
    inner.queue.write_buffer(&buffer.raw, 0, bytes);
    Ok(buffer)
}

fn words(pixels: &[[u8; 3]]) -> Vec<u32> {
    pixels.iter().map(|&[r, g, b]| u32::from_le_bytes([r, g, b, 0])).collect()
}
