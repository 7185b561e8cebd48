//! The only place where buffers are created. Counts them and their bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// Bytes of device memory that an executor holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Packed weights, biases, noise.
    pub weights: usize,
    /// Intermediates.
    pub arena: usize,
    /// Uniform blocks.
    pub params: usize,
    /// Buffers through which pictures and results pass.
    pub staging: usize,
}

impl Memory {
    /// The sum.
    pub const fn total(&self) -> usize {
        self.weights + self.arena + self.params + self.staging
    }
}

/// A device's buffers, bytes and pipelines so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Buffers created since the device was opened.
    pub buffers_created: u64,
    /// Bytes of those that are alive.
    pub bytes_alive: u64,
    /// Pipelines compiled since the device was opened.
    pub pipelines_compiled: u64,
}

/// Creates and counts buffers.
#[derive(Debug, Default)]
pub struct Allocator {
    created: AtomicU64,
    alive: AtomicU64,
    read: AtomicU64,
}

impl Allocator {
    /// Notes that `bytes` came back from the device.
    pub fn count_read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that came back from the device.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Buffers created, bytes alive.
    pub fn counts(&self) -> (u64, u64) {
        (self.created.load(Ordering::Relaxed), self.alive.load(Ordering::Relaxed))
    }

    /// A buffer of `bytes`, at least 4.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when it exceeds the device's limit or the driver refuses.
    pub async fn allocate(
        self: &Arc<Self>,
        device: &wgpu::Device,
        label: &str,
        bytes: usize,
        usage: wgpu::BufferUsages,
    ) -> Result<Buffer> {
        let size = bytes.max(4) as u64;
        let limit = device.limits().max_buffer_size;
        if size > limit {
            return Err(Error::OutOfMemory {
                needed: bytes,
                available: usize::try_from(limit).unwrap_or(usize::MAX),
                hint: format!("the device's largest buffer is too small for its {label}"),
            });
        }
        let scope = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let descriptor =
            wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let raw = device.create_buffer(&descriptor);
        if scope.pop().await.is_some() {
            let alive = self.alive.load(Ordering::Relaxed) as usize;
            return Err(Error::OutOfMemory {
                needed: alive + bytes,
                available: alive,
                hint: format!("the driver has no memory for the {label}; try smaller tiles"),
            });
        }
        self.created.fetch_add(1, Ordering::Relaxed);
        self.alive.fetch_add(size, Ordering::Relaxed);
        Ok(Buffer { raw, allocator: Arc::clone(self) })
    }
}

/// A buffer that is counted while it is alive.
#[derive(Debug)]
pub struct Buffer {
    /// wgpu's handle.
    pub raw: wgpu::Buffer,
    allocator: Arc<Allocator>,
}

impl Buffer {
    /// Bytes.
    pub fn bytes(&self) -> usize {
        self.raw.size() as usize
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.raw.destroy();
        self.allocator.alive.fetch_sub(self.raw.size(), Ordering::Relaxed);
    }
}
