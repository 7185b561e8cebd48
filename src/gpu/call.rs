//! Runs kernels outside of any plan, on whole buffers.

use bytemuck::cast_slice;
use wgpu::BufferUsages as Usage;

use super::Device;
use super::builder::Call;
use super::launch::Launch;
use super::mapping::read_back;
use super::memory::Buffer;
use crate::{Error, Result};

/// A device, for such kernels.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub device: Device,
}

/// A call with everything bound, and the buffer that holds its parameters.
#[derive(Debug)]
pub(super) struct Bound {
    pub launch: Launch,
    _params: Buffer,
}

impl Calls {
    pub async fn allocate(&self, label: &str, bytes: usize, usage: Usage) -> Result<Buffer> {
        let inner = &self.device.inner;
        inner.allocator.allocate(&inner.raw, label, bytes, usage).await
    }

    pub async fn upload<T: bytemuck::NoUninit>(&self, label: &str, values: &[T]) -> Result<Buffer> {
        let bytes: &[u8] = cast_slice(values);
        let usage = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
        let buffer = self.allocate(label, bytes.len(), usage).await?;
        self.device.inner.queue.write_buffer(&buffer.raw, 0, bytes);
        Ok(buffer)
    }

    /// Compiles the kernel of `call` where that was not done yet, and binds its parameters and
    /// `buffers`.
    pub async fn bind(&self, call: &Call, buffers: &[&Buffer]) -> Result<Bound> {
        let inner = &self.device.inner;
        inner.pipelines.prepare(&inner.raw, &[&call.shader]).await?;
        inner.pipelines.check([(&call.shader, &call.params)])?;
        let missing = || Error::Internal(format!("{} was not prepared", call.shader.kernel));
        let pipeline = inner.pipelines.get(&call.shader).ok_or_else(missing)?;
        // A uniform block is a multiple of 16 bytes.
        let mut words = call.params.words().to_vec();
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
        let launch =
            Launch { pipeline, bind_group, workgroups: call.workgroups, copies: Vec::new() };
        Ok(Bound { launch, _params: params })
    }

    /// Submits `call` on `buffers`.
    pub async fn launch(&self, call: &Call, buffers: &[&Buffer]) -> Result<()> {
        let bound = self.bind(call, buffers).await?;
        let mut encoder = self.device.encoder();
        bound
            .launch
            .record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
        self.device.inner.queue.submit([encoder.finish()]);
        self.device.check()
    }

    /// The values of `buffer` after all submitted work.
    pub async fn read<T: bytemuck::Pod>(&self, buffer: &Buffer) -> Result<Vec<T>> {
        let bytes = buffer.bytes();
        let copy = self.allocate("results", bytes, Usage::MAP_READ | Usage::COPY_DST).await?;
        let mut encoder = self.device.encoder();
        encoder.copy_buffer_to_buffer(&buffer.raw, 0, &copy.raw, 0, bytes as u64);
        self.device.inner.queue.submit([encoder.finish()]);
        let values = |bytes: &[u8]| bytemuck::pod_collect_to_vec(bytes);
        read_back(&self.device, &copy, bytes, values).await
    }
}
