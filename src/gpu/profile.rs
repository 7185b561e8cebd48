//! How long each step takes on the device.

use std::time::Duration;

use wgpu::BufferUsages as Usage;

use super::executor::Executor;
use super::mapping::read_back;
use crate::{Error, Result};

/// Timestamps of one query set at most (WebGPU's limit).
const MAX_QUERIES: usize = 4096;

/// The time of one step.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// Position in [`Plan::steps`](crate::plan::Plan::steps).
    pub step: usize,
    /// From the start of its first dispatch to the end of its last.
    pub time: Duration,
}

impl Executor {
    /// Runs the network once on what its inputs hold and times every step with timestamps of the
    /// device.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has no timestamps; otherwise as [`run`](Self::run).
    pub async fn profile(&mut self) -> Result<Vec<StepTime>> {
        if !self.device.info().timestamps {
            let what = format!("{} cannot time kernels", self.device.info());
            return Err(Error::Device(what));
        }
        let inner = &self.device.inner;
        let steps: Vec<usize> = (0..self.steps.len()).collect();
        let mut times = Vec::new();
        for chunk in steps.chunks(MAX_QUERIES / 2) {
            let count = 2 * chunk.len();
            let bytes = count * size_of::<u64>();
            let queries = inner.raw.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count: count as u32,
            });
            let usage = Usage::QUERY_RESOLVE | Usage::COPY_SRC;
            let resolved = inner.allocator.allocate(&inner.raw, "profile", bytes, usage).await?;
            let usage = Usage::MAP_READ | Usage::COPY_DST;
            let readback = inner.allocator.allocate(&inner.raw, "profile", bytes, usage).await?;
            for (query, &step) in (0..).step_by(2).zip(chunk) {
                let mut encoder = self.encoder();
                let timestamps = wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(query),
                    end_of_pass_write_index: Some(query + 1),
                };
                self.record(&mut encoder, &self.steps[step], Some(timestamps));
                inner.queue.submit([encoder.finish()]);
            }
            let mut encoder = self.encoder();
            encoder.resolve_query_set(&queries, 0..count as u32, &resolved.raw, 0);
            encoder.copy_buffer_to_buffer(&resolved.raw, 0, &readback.raw, 0, bytes as u64);
            inner.queue.submit([encoder.finish()]);
            let period = f64::from(inner.queue.get_timestamp_period());
            read_back(&self.device, &readback, bytes, self.watch.blocking, |bytes| {
                let words = bytes.as_chunks::<8>().0.iter();
                let ticks: Vec<_> = words.map(|b| u64::from_le_bytes(*b)).collect();
                for (&step, ticks) in chunk.iter().zip(ticks.as_chunks::<2>().0) {
                    let elapsed = ticks[1].saturating_sub(ticks[0]) as f64 * period;
                    times.push(StepTime { step, time: Duration::from_nanos(elapsed as u64) });
                }
            })
            .await?;
        }
        Ok(times)
    }

    /// [`profile`](Self::profile) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`profile`](Self::profile).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile_blocking(&mut self) -> Result<Vec<StepTime>> {
        self.watch.blocking = true;
        pollster::block_on(self.profile())
    }
}
