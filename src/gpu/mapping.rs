//! Waiting for the device and reading its results.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::Device;
#[cfg(not(target_arch = "wasm32"))]
use super::device::cause;
use super::memory::Buffer;
#[cfg(not(target_arch = "wasm32"))]
use crate::blocking::may_block;
#[cfg(not(target_arch = "wasm32"))]
use crate::wall::panic_caught;
use crate::{Error, Result};

/// Something that one thread or callback says once and a future waits for.
struct Signal<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Signal<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    fn set(&self, value: T) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = Some(value);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    async fn wait(&self) -> T {
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match state.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Waits until `index`, or everything that was submitted, is done: on this thread where it
/// [may be blocked](may_block), otherwise on one of its own.
///
/// wgpu panics when the device was lost meanwhile.
#[cfg(not(target_arch = "wasm32"))]
async fn poll(device: &Device, index: Option<wgpu::SubmissionIndex>) -> Result<(), String> {
    let poll = |raw: &wgpu::Device, wanted| match panic_caught(|| raw.poll(wanted)) {
        Ok(polled) => polled.map(drop).map_err(|error| error.to_string()),
        Err(panic) => Err(cause(&panic)),
    };
    let raw = &device.inner.raw;
    let wait = wgpu::PollType::Wait { submission_index: index, timeout: None };
    if !may_block() {
        let signal = Signal::new();
        let (raw, done, wanted) = (raw.clone(), signal.clone(), wait.clone());
        let thread = std::thread::Builder::new().name("pentimento-wait".to_owned());
        // Where there is no thread to be had, this one must do.
        if thread.spawn(move || done.set(poll(&raw, wanted))).is_ok() {
            return signal.wait().await;
        }
    }
    poll(raw, wait)
}

/// Waits in a browser, whose event loop calls back when all is done.
#[cfg(target_arch = "wasm32")]
async fn poll(device: &Device, _index: Option<wgpu::SubmissionIndex>) -> Result<(), String> {
    let signal = Signal::new();
    let done = signal.clone();
    device.inner.queue.on_submitted_work_done(move || done.set(()));
    signal.wait().await;
    Ok(())
}

/// Waits until the device has done submission `index`.
///
/// # Errors
/// [`Error::DeviceLost`] or [`Error::Device`] when it failed.
pub async fn finished(device: &Device, index: wgpu::SubmissionIndex) -> Result<()> {
    let result = poll(device, Some(index)).await;
    device.check()?;
    result.map_err(Error::DeviceLost)
}

/// A buffer that is mapped, or will be, until this goes: also when nobody waits for it any longer.
struct Mapped<'a>(&'a Buffer);

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        self.0.raw.unmap();
    }
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
    let mapped = Signal::new();
    let done = mapped.clone();
    slice.map_async(wgpu::MapMode::Read, move |result| done.set(result));
    let unmapped_at_last = Mapped(buffer);
    if let Err(error) = poll(device, None).await {
        device.check()?;
        return Err(Error::DeviceLost(error));
    }
    let result = mapped.wait().await;
    device.check()?;
    result.map_err(|error| Error::DeviceLost(format!("its results cannot be read: {error}")))?;
    let view = slice
        .get_mapped_range()
        .map_err(|error| Error::Device(format!("its results cannot be read: {error}")))?;
    let value = read(&view[..bytes]);
    device.inner.allocator.count_read(bytes);
    drop(view);
    drop(unmapped_at_last);
    Ok(value)
}
