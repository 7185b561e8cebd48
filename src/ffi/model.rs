//! Models of the C ABI.

use std::ffi::c_char;

use super::registry::{self, ModelHandle, Object};
use super::status::{Failure, Status, border};
use super::{text, write};
use crate::{Model, Options, Task};

/// The task of a network.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelTask {
    /// An aligned, square face becomes a restored one.
    RestoreFace = 0,
    /// Any picture becomes larger.
    Upscale = 1,
    /// A vector becomes a picture; not usable from C.
    Generate = 2,
    /// Says what each pixel of a face shows; not usable from C.
    Parse = 3,
    /// Finds faces.
    Detect = 4,
}

/// Facts about a model.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModelInfo {
    /// Name of the architecture, with its NUL.
    pub architecture: [c_char; 32],
    /// The task of its network.
    pub task: ModelTask,
    /// Side of the picture that it takes, where that is fixed, otherwise 0.
    pub size: u32,
    /// Output pixels per input pixel and side.
    pub factor: u32,
}

/// Opens a .safetensors or .pth file. The model is freed with pentimento_model_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_model_open(
    path: *const c_char,
    model: *mut ModelHandle,
) -> Status {
    border(|| {
        // SAFETY: a string by the caller's promise.
        let path = unsafe { text(path, "path") }?;
        if model.is_null() {
            return Err(Failure::null("model"));
        }
        let opened = Model::open(path)?;
        // SAFETY: writable by the caller's promise.
        unsafe { write(model, "model", registry::insert(Object::Model(opened))) }
    })
}

/// Opens such a file in memory. The bytes are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_model_from_bytes(
    bytes: *const u8,
    length: usize,
    model: *mut ModelHandle,
) -> Status {
    border(|| {
        if bytes.is_null() || model.is_null() {
            return Err(Failure::null(if bytes.is_null() { "bytes" } else { "model" }));
        }
        if isize::try_from(length).is_err() {
            return Err(Failure::argument(format!("{length} bytes do not fit any memory")));
        }
        // SAFETY: not NULL, readable for `length` bytes by the caller's promise, and no longer than
        // a slice may be.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, length) }.to_vec();
        let opened = Model::from_bytes(bytes, "the model in memory", &Options::default())?;
        // SAFETY: writable by the caller's promise.
        unsafe { write(model, "model", registry::insert(Object::Model(opened))) }
    })
}

/// Frees a model. What was made with it stays valid.
#[unsafe(no_mangle)]
pub extern "C" fn pentimento_model_free(model: ModelHandle) -> Status {
    border(|| registry::remove(model, registry::model))
}

/// Writes what a model is to `info`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_model_describe(
    model: ModelHandle,
    info: *mut ModelInfo,
) -> Status {
    border(|| {
        let model = registry::model(model)?;
        let (task, size, factor) = match model.task() {
            Task::RestoreFace { size } => (ModelTask::RestoreFace, size, 1),
            Task::Upscale { factor, .. } => (ModelTask::Upscale, 0, factor),
            Task::Generate { size, .. } => (ModelTask::Generate, size, 1),
            Task::Parse { size, .. } => (ModelTask::Parse, size, 1),
            Task::Detect { .. } => (ModelTask::Detect, 0, 1),
        };
        let mut architecture = [0; 32];
        for (to, from) in architecture[..31].iter_mut().zip(model.architecture().bytes()) {
            *to = from as c_char;
        }
        let value = ModelInfo { architecture, task, size: size as u32, factor: factor as u32 };
        // SAFETY: writable by the caller's promise.
        unsafe { write(info, "info", value) }
    })
}
