//! Waiting for the device and reading its results.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::Device;
use super::memory::Buffer;
use crate::{Error, Result};

/// What the callback of a mapping has said, and who waits for it.
#[derive(Default)]
struct Answer {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

/// Waits until all submitted work is done, then hands the first `bytes` of `buffer` to `read`.
///
/// # Errors
/// [`Error::DeviceLost`] or [`Error::Device`] when the work failed.
pub async fn read_back<T>(
    device: &Device,
    buffer: &Buffer,
    bytes: usize,
    read: impl FnOnce(&[u8]) -> T,
) -> Result<T> {
    let slice = buffer.raw.slice(..bytes.next_multiple_of(4) as u64);
    let answer = Arc::new(Mutex::new(Answer::default()));
    let seen = Arc::clone(&answer);
    slice.map_async(wgpu::MapMode::Read, move |result| {
        let mut answer = seen.lock().unwrap_or_else(PoisonError::into_inner);
        answer.result = Some(result);
        if let Some(waker) = answer.waker.take() {
            waker.wake();
        }
    });
    // In a browser this does nothing and the event loop calls back.
    if let Err(error) = device.inner.raw.poll(wgpu::PollType::wait_indefinitely()) {
        device.check()?;
        return Err(Error::DeviceLost(error.to_string()));
    }
    let result = poll_fn(|context| {
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                answer.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await;
    device.check()?;
    result.map_err(|error| Error::DeviceLost(format!("its results cannot be read: {error}")))?;
    let view = slice
        .get_mapped_range()
        .map_err(|error| Error::Device(format!("its results cannot be read: {error}")))?;
    let value = read(&view[..bytes]);
    drop(view);
    buffer.raw.unmap();
    Ok(value)
}
