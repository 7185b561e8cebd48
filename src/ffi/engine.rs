//! Engines of the C ABI.

use std::ffi::c_char;

use super::registry::{self, EngineHandle, Object};
use super::status::{Failure, Status, border};
use super::{text, write, write_text};
use crate::Engine;

/// How numbers are stored on the device.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Precision {
    /// f16 on a GPU that has it, f32 elsewhere.
    Auto = 0,
    /// f32, the reference.
    F32 = 1,
    /// f16; an error on a device without it.
    F16 = 2,
}

/// Options of an engine. All zeros: the best GPU, or else the CPU.
#[repr(C)]
pub struct EngineOptions {
    /// NULL: the best real GPU, or else the CPU. Otherwise "cpu", the number of a device, or a part
    /// of its name, vendor, driver or backend.
    pub device: *const c_char,
    /// One of pentimento_precision.
    pub precision: u32,
    /// The most bytes that the weights and intermediates of one network may take; 0: no limit.
    pub memory: u64,
}

/// Opens a device. `options` may be NULL. The engine is freed with pentimento_engine_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_engine_new(
    options: *const EngineOptions,
    engine: *mut EngineHandle,
) -> Status {
    border(|| {
        // What is caught on the way is told by an error or the log: nothing is printed.
        crate::photo::silence_panics();
        let mut wanted = crate::EngineOptions::default();
        if !options.is_null() {
            // SAFETY: not NULL, and readable by the caller's promise.
            let options = unsafe { options.read_unaligned() };
            if !options.device.is_null() {
                // SAFETY: a string by the caller's promise.
                wanted.device = Some(unsafe { text(options.device, "the device") }?);
            }
            wanted.precision = match options.precision {
                0 => crate::Precision::Auto,
                1 => crate::Precision::F32,
                2 => crate::Precision::F16,
                other => {
                    let what = format!("{other} is not a pentimento_precision");
                    return Err(Failure::argument(what));
                }
            };
            let memory = usize::try_from(options.memory).unwrap_or(usize::MAX);
            wanted.memory = Some(memory).filter(|&memory| memory > 0);
        }
        if engine.is_null() {
            return Err(Failure::null("engine"));
        }
        let opened = Engine::new(&wanted)?;
        // SAFETY: writable by the caller's promise.
        unsafe { write(engine, "engine", registry::insert(Object::Engine(Box::new(opened)))) }
    })
}

/// Frees an engine. What was made with it stays valid.
#[unsafe(no_mangle)]
pub extern "C" fn pentimento_engine_free(engine: EngineHandle) -> Status {
    border(|| registry::remove(engine, registry::engine))
}

/// Writes the name of the engine's device to `name`, of `capacity` bytes, NUL included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_engine_device(
    engine: EngineHandle,
    name: *mut c_char,
    capacity: usize,
) -> Status {
    border(|| {
        let engine = registry::engine(engine)?;
        // SAFETY: writable by the caller's promise.
        unsafe { write_text(&engine.device().name, name, capacity) }
    })
}

/// Writes the number of devices of this machine to `count`, the CPU included. Asks every driver,
/// which takes time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_device_count(count: *mut usize) -> Status {
    border(|| {
        if count.is_null() {
            return Err(Failure::null("count"));
        }
        // SAFETY: writable by the caller's promise.
        unsafe { write(count, "count", Engine::devices().len()) }
    })
}

/// Writes the name of device number `index` to `name`, of `capacity` bytes, NUL included. The CPU
/// is the last one; the number of another one chooses it in pentimento_engine_options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_device_name(
    index: usize,
    name: *mut c_char,
    capacity: usize,
) -> Status {
    border(|| {
        let devices = Engine::devices();
        let missing = || Failure::argument(format!("there are only {} devices", devices.len()));
        let device = devices.get(index).ok_or_else(missing)?;
        // SAFETY: writable by the caller's promise.
        unsafe { write_text(&device.name, name, capacity) }
    })
}
