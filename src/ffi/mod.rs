//! The C ABI, which `include/pentimento.h` declares. Feature `capi`.
//!
//! Objects are known to C as numbers, so that one that was freed is an error and not undefined
//! behaviour. Every function returns a [`Status`] and leaves a message for its thread; nothing
//! unwinds across the border, in either direction.

// Every pointer comes from C: what is asked of it is said in the header, once for all functions.
#![allow(clippy::missing_safety_doc)]

mod engine;
mod image;
mod log;
mod model;
mod registry;
mod restorer;
mod status;

pub use engine::{EngineOptions, Precision, pentimento_engine_free, pentimento_engine_new};
pub use engine::{pentimento_device_count, pentimento_device_name, pentimento_engine_device};
pub use image::{Image, PixelFormat};
pub use log::{LogCallback, LogGuard, LogLevel, pentimento_set_log, pentimento_set_log_guarded};
pub use model::{ModelInfo, ModelTask, pentimento_model_describe, pentimento_model_from_bytes};
pub use model::{pentimento_model_free, pentimento_model_open};
pub use registry::{EngineHandle, ModelHandle, RestorerHandle};
pub use restorer::pentimento_set_progress_guarded;
pub use restorer::{Face, ProgressCallback, ProgressGuard, RestorerOptions, Which};
pub use restorer::{pentimento_restore, pentimento_restore_faces, pentimento_restored_faces};
pub use restorer::{
    pentimento_restorer_device, pentimento_restorer_seconds, pentimento_set_progress,
};
pub use restorer::{pentimento_restorer_free, pentimento_restorer_new};
pub use restorer::{pentimento_restorer_options_default, pentimento_restorer_output_size};
pub use status::{Status, pentimento_last_error};

use std::ffi::{CStr, c_char};

use status::Failure;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version holds no NUL"),
    };

/// The version of the library, as "1.2.3". Never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn pentimento_version() -> *const c_char {
    VERSION.as_ptr()
}

/// A text from C.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string.
unsafe fn text(text: *const c_char, name: &str) -> Result<String, Failure> {
    if text.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    let text = text.to_str().map_err(|_| Failure::argument(format!("{name} is not UTF-8")))?;
    Ok(text.to_owned())
}

/// Writes `value` to where C wants it.
///
/// # Safety
/// `out` is NULL or may be written.
unsafe fn write<T>(out: *mut T, name: &str, value: T) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL, and writable by the caller's promise; C may give any alignment.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Writes `text` with its NUL to `buffer` of `capacity` bytes, cut off where it is too long.
///
/// # Safety
/// `buffer` is NULL or may be written for `capacity` bytes.
unsafe fn write_text(text: &str, buffer: *mut c_char, capacity: usize) -> Result<(), Failure> {
    if buffer.is_null() {
        return Err(Failure::null("the buffer for the text"));
    }
    if capacity == 0 {
        return Err(Failure::argument("the buffer for the text has no room".to_owned()));
    }
    let bytes: Vec<u8> = text.bytes().filter(|&b| b != 0).take(capacity - 1).collect();
    // SAFETY: `capacity` bytes may be written, and these are at most `capacity`.
    unsafe {
        buffer.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        buffer.add(bytes.len()).write(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
