//! How long work takes on the device.

use std::ops::Range;
use std::time::Duration;

use wgpu::BufferUsages as Usage;

use super::Device;
use super::executor::Executor;
use super::launch::{Launch, record};
use super::mapping::{finished, read_back};
use crate::Result;
use crate::control::Instant;

/// Timestamps of one query set at most (WebGPU's limit).
const MAX_QUERIES: usize = 4096;

/// The time of one step.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// Position in [`Plan::steps`](crate::plan::Plan::steps).
    pub step: usize,
    /// When it began, after the first one.
    pub start: Duration,
    /// From the start of its first dispatch to the end of its last.
    pub time: Duration,
}

impl Executor {
    /// Runs the network once on what its inputs hold and times every step: with timestamps of the
    /// device, or without them by waiting for each step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn profile(&mut self) -> Result<Vec<StepTime>> {
        let passes: Vec<&[Launch]> = self.steps.iter().map(Vec::as_slice).collect();
        let times = time_passes(&self.device, &passes, &self.groups()).await?;
        let times = times.into_iter().enumerate();
        Ok(times.map(|(step, [start, time])| StepTime { step, start, time }).collect())
    }

    /// [`profile`](Self::profile) for callers without an async runtime.
    ///
    /// # Errors
    /// As [`profile`](Self::profile).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn profile_blocking(&mut self) -> Result<Vec<StepTime>> {
        crate::blocking::block_on(self.profile())
    }
}

/// Runs each of `passes` as one compute pass: when it began after the first one, and how long it
/// took. By timestamps of the device; without them by the host's clock, which includes the way to
/// the device and back. `groups` are the passes of one submission: after each the device idles.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory), or when the device fails.
pub(super) async fn time_passes(
    device: &Device,
    passes: &[&[Launch]],
    groups: &[Range<usize>],
) -> Result<Vec<[Duration; 2]>> {
    let inner = &device.inner;
    let mut times = Vec::new();
    if !device.info().timestamps {
        let first = Instant::now();
        for pass in passes {
            let start = first.elapsed();
            let mut encoder = device.encoder();
            record(&mut encoder, *pass, None);
            let index = inner.queue.submit([encoder.finish()]);
            finished(device, index).await?;
            times.push([start, first.elapsed().saturating_sub(start)]);
        }
        return Ok(times);
    }
    let (mut first, mut done) = (None, 0);
    for passes in passes.chunks(MAX_QUERIES / 2) {
        let count = 2 * passes.len();
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
        let mut encoder = device.encoder();
        for (query, pass) in (0..).step_by(2).zip(passes) {
            let stamps = wgpu::ComputePassTimestampWrites {
                query_set: &queries,
                beginning_of_pass_write_index: Some(query),
                end_of_pass_write_index: Some(query + 1),
            };
            record(&mut encoder, *pass, Some(stamps));
            done += 1;
            if groups.iter().any(|group| group.end == done) {
                let full = std::mem::replace(&mut encoder, device.encoder());
                inner.queue.submit([full.finish()]);
            }
        }
        encoder.resolve_query_set(&queries, 0..count as u32, &resolved.raw, 0);
        encoder.copy_buffer_to_buffer(&resolved.raw, 0, &readback.raw, 0, bytes as u64);
        inner.queue.submit([encoder.finish()]);
        let period = f64::from(inner.queue.get_timestamp_period());
        read_back(device, &readback, bytes, |bytes| {
            let words = bytes.as_chunks::<8>().0.iter();
            let ticks: Vec<_> = words.map(|b| u64::from_le_bytes(*b)).collect();
            let between =
                |a: u64, b: u64| Duration::from_nanos((b.saturating_sub(a) as f64 * period) as u64);
            for &[from, to] in ticks.as_chunks::<2>().0 {
                let start = between(*first.get_or_insert(from), from);
                times.push([start, between(from, to)]);
            }
        })
        .await?;
    }
    Ok(times)
}
