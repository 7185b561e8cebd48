//! Pictures in, pictures out: conversion happens on the device, only bytes cross the bus.

use bytemuck::cast_slice;

use super::executor::{Executor, Picture};
use super::mapping::read_back;
use super::ops::{image_to_tensor, tensor_to_image};
use super::params::PARAMS_STRIDE;
use crate::plan::PixelFormat;
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
        let picture = self.picture()?;
        let (x, y) = (self.plan.inputs[0], self.plan.outputs[0]);
        let expected = x.shape.n * x.shape.plane() * from.channels;
        if bytes.len() != expected {
            let what = format!(
                "a picture of {} × {} has {expected} bytes, got {}",
                x.shape.w,
                x.shape.h,
                bytes.len()
            );
            return Err(Error::Input(what));
        }
        for format in [from, to] {
            if !(3..=4).contains(&format.channels) {
                let what = format!("pixels have 3 or 4 bytes, not {}", format.channels);
                return Err(Error::Input(what));
            }
        }
        self.set_formats(picture, from, to);
        let queue = &self.device.inner.queue;
        let whole = bytes.len() / 4 * 4;
        queue.write_buffer(&picture.bytes_in.raw, 0, &bytes[..whole]);
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            queue.write_buffer(&picture.bytes_in.raw, whole as u64, &last);
        }
        self.submit([&picture.launches[0]]);
        self.submit_steps().await?;

        let picture = self.picture()?;
        let queue = &self.device.inner.queue;
        let flag = picture.schema.flag;
        let mut encoder = self.encoder();
        encoder.clear_buffer(&picture.bytes_out.raw, flag as u64, Some(4));
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            picture.launches[1].record(&mut pass);
        }
        let (out, len) = (&picture.bytes_out.raw, flag as u64 + 4);
        encoder.copy_buffer_to_buffer(out, 0, &self.readback.raw, 0, len);
        queue.submit([encoder.finish()]);
        let size = y.shape.n * y.shape.plane() * to.channels;
        let blocking = self.watch.blocking;
        let (result, finite) =
            read_back(&self.device, &self.readback, flag + 4, blocking, |bytes| {
                (bytes[..size].to_vec(), bytes[flag..flag + 4] == [0; 4])
            })
            .await?;
        if !finite {
            let picture = self.picture()?;
            self.submit([&picture.launches[0]]);
            return Err(self.find_non_finite().await?);
        }
        Ok(result)
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
        self.watch.blocking = true;
        pollster::block_on(self.run_image(bytes, from, to))
    }

    /// Tells the two kernels around the network how pixels look.
    pub(super) fn set_formats(&self, picture: &Picture, from: PixelFormat, to: PixelFormat) {
        let (x, y) = (self.plan.inputs[0], self.plan.outputs[0]);
        let params = [
            image_to_tensor::record(&self.plan, x, from).params,
            tensor_to_image::record(&self.plan, y, to).params,
        ];
        for (index, params) in params.iter().enumerate() {
            let at = (picture.params + index * PARAMS_STRIDE) as u64;
            self.device.inner.queue.write_buffer(&self.params.raw, at, cast_slice(params.words()));
        }
    }

    pub(super) fn picture(&self) -> Result<&Picture> {
        self.picture.as_ref().ok_or_else(|| {
            Error::Input("the network does not turn one RGB picture into another".to_owned())
        })
    }
}
