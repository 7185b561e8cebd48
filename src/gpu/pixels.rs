//! Pictures in, pictures out: conversion happens on the device, only bytes cross the bus.

use bytemuck::cast_slice;

use super::executor::{Executor, Picture, PictureOut};
use super::mapping::read_back;
use super::ops::{image_to_tensor, tensor_to_image};
use super::params::PARAMS_STRIDE;
use crate::pixels::PixelFormat;
use crate::{Error, Result};

impl Executor {
    /// Runs the network on interleaved 8-bit pictures, one after the other for a batch:
    /// `[N, H, W, 3 or 4]` bytes in the format `from`, to the same in the format `to`.
    ///
    /// # Errors
    /// [`Error::Input`] when the network does not take and yield three channels or when `bytes` has
    /// another size; otherwise as [`run`](Self::run).
    pub async fn run_image(
        &mut self,
        bytes: &[u8],
        from: PixelFormat,
        to: PixelFormat,
    ) -> Result<Vec<u8>> {
        self.picture_out()?;
        self.check(bytes, &[from, to])?;
        self.set_formats(from, to)?;
        self.upload_picture(bytes)?;
        let first = [self.picture()?.input.clone()];
        self.submit_frame(&first, Self::copy_picture).await?;
        let flag = self.picture_out()?.flag;
        let shape = self.plan.outputs[0].shape;
        let size = shape.n * shape.plane() * to.channels;
        let (result, finite) = read_back(&self.device, &self.readback, flag + 4, |bytes| {
            (bytes[..size].to_vec(), bytes[flag..flag + 4] == [0; 4])
        })
        .await?;
        self.finish();
        if !finite {
            self.submit([&self.picture()?.input]);
            return Err(self.find_non_finite().await?);
        }
        Ok(result)
    }

    /// Runs the network on pictures as [`run_image`](Self::run_image) does, and yields its outputs
    /// as [`run`](Self::run) does.
    ///
    /// # Errors
    /// [`Error::Input`] when the network does not take three channels or when `bytes` has another
    /// size; otherwise as [`run`](Self::run).
    pub async fn run_pixels(&mut self, bytes: &[u8], from: PixelFormat) -> Result<Vec<Vec<f32>>> {
        self.check(bytes, &[from])?;
        self.set_formats(from, from)?;
        self.upload_picture(bytes)?;
        let first = [self.picture()?.input.clone()];
        self.submit_frame(&first, Self::copy_outputs).await?;
        let outputs = self.outputs().await?;
        if outputs.iter().flatten().any(|v| !v.is_finite()) {
            self.submit([&self.picture()?.input]);
            return Err(self.find_non_finite().await?);
        }
        Ok(outputs)
    }

    /// Whether `bytes` are the network's pictures in the first of `formats`.
    fn check(&self, bytes: &[u8], formats: &[PixelFormat]) -> Result<()> {
        self.picture()?;
        let x = self.plan.inputs[0].shape;
        let channels = formats.first().map_or(0, |from| from.channels);
        let expected = x.n * x.plane() * channels;
        if bytes.len() != expected {
            let got = bytes.len();
            let what = format!("a picture of {} × {} has {expected} bytes, got {got}", x.w, x.h);
            return Err(Error::Input(what));
        }
        for format in formats {
            if !(3..=4).contains(&format.channels) {
                let what = format!("pixels have 3 or 4 bytes, not {}", format.channels);
                return Err(Error::Input(what));
            }
        }
        Ok(())
    }

    fn upload_picture(&self, bytes: &[u8]) -> Result<()> {
        let (picture, queue) = (self.picture()?, &self.device.inner.queue);
        let whole = bytes.len() / 4 * 4;
        queue.write_buffer(&picture.bytes_in.raw, 0, &bytes[..whole]);
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            queue.write_buffer(&picture.bytes_in.raw, whole as u64, &last);
        }
        Ok(())
    }

    /// [`run_image`](Self::run_image) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`run_image`](Self::run_image).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_image_blocking(
        &mut self,
        bytes: &[u8],
        from: PixelFormat,
        to: PixelFormat,
    ) -> Result<Vec<u8>> {
        crate::blocking::block_on(self.run_image(bytes, from, to))
    }

    /// The picture that the steps yield goes where it can be read, if one is yielded.
    fn copy_picture(&self, encoder: &mut wgpu::CommandEncoder) {
        let Some(output) = self.picture.as_ref().and_then(|picture| picture.output.as_ref()) else {
            return;
        };
        let (bytes, flag) = (&output.bytes.raw, output.flag as u64);
        encoder.clear_buffer(bytes, flag, Some(4));
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            output.launch.record(&mut pass);
        }
        encoder.copy_buffer_to_buffer(bytes, 0, &self.readback.raw, 0, flag + 4);
    }

    /// Tells the kernels around the network how pixels look, where they were told otherwise.
    pub(super) fn set_formats(&mut self, from: PixelFormat, to: PixelFormat) -> Result<()> {
        if self.formats == Some([from, to]) {
            return Ok(());
        }
        let picture = self.picture()?;
        let mut params =
            vec![image_to_tensor::record(&self.plan, self.plan.inputs[0], from).params];
        if picture.output.is_some() {
            params.push(tensor_to_image::record(&self.plan, self.plan.outputs[0], to).params);
        }
        for (index, params) in params.iter().enumerate() {
            let at = (picture.params + index * PARAMS_STRIDE) as u64;
            self.device.inner.queue.write_buffer(&self.params.raw, at, cast_slice(params.words()));
        }
        self.formats = Some([from, to]);
        Ok(())
    }

    pub(super) fn picture(&self) -> Result<&Picture> {
        self.picture
            .as_ref()
            .ok_or_else(|| Error::Input("the network does not take RGB pictures".to_owned()))
    }

    pub(super) fn picture_out(&self) -> Result<&PictureOut> {
        self.picture.as_ref().and_then(|picture| picture.output.as_ref()).ok_or_else(|| {
            Error::Input("the network does not turn one RGB picture into another".to_owned())
        })
    }
}
