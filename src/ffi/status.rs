//! The status that every function of the C ABI returns, and the message that goes with it.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Error;

/// The result of a call; pentimento_last_error says more.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It worked.
    Ok = 0,
    /// An argument is NULL, out of its range, or does not fit the others.
    Argument = 1,
    /// There is no such object: it was freed, is of another kind, or never was.
    Handle = 2,
    /// A file could not be read.
    File = 3,
    /// A model file is damaged, or no known network.
    Model = 4,
    /// The device that was asked for is not there, or failed.
    Device = 5,
    /// The device stopped working: free the engine and all that was made with it, make new ones.
    DeviceLost = 6,
    /// The work does not fit the memory.
    OutOfMemory = 7,
    /// The network's result holds NaN or infinity.
    NonFinite = 8,
    /// The progress callback stopped the work.
    Cancelled = 9,
    /// A callback failed: it returned something else than 0 or 1, or threw a C++ exception.
    Callback = 10,
    /// The restorer is at work in another call.
    Busy = 11,
    /// A mistake of the library. The process goes on; the object at work may have to be made anew.
    Internal = 12,
}

/// Why a call failed.
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub fn argument(message: String) -> Self {
        Self::new(Status::Argument, message)
    }

    pub fn null(name: &str) -> Self {
        Self::argument(format!("{name} is NULL"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Io { .. } | Error::Image { .. } => Status::File,
            Error::Checkpoint { .. }
            | Error::Tensor { .. }
            | Error::Config { .. }
            | Error::UnknownArchitecture(_)
            | Error::Shape(_) => Status::Model,
            Error::Input(_) => Status::Argument,
            Error::Device(_) => Status::Device,
            Error::DeviceLost(_) => Status::DeviceLost,
            Error::OutOfMemory { .. } => Status::OutOfMemory,
            Error::NonFinite { .. } => Status::NonFinite,
            Error::Cancelled => Status::Cancelled,
            // What the core may add.
            _ => Status::Internal,
        };
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// The error of the last call of this thread, as one sentence in UTF-8; empty when the call worked.
/// Never NULL; valid until the next call of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn pentimento_last_error() -> *const c_char {
    // A thread that is ending has no message any more.
    MESSAGE.try_with(|message| message.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

fn say(message: &str) {
    let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
    let _ = MESSAGE.try_with(|message| *message.borrow_mut() = text);
}

/// Does `work` for C: no panic leaves it, and the thread's message tells how it went.
pub fn border(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = format!("internal error, please report it: {}", describe(&*panic));
        // Whatever was thrown, its destructor must not throw again.
        std::mem::forget(panic);
        Err(Failure::new(Status::Internal, what))
    });
    match result {
        Ok(()) => {
            say("");
            Status::Ok
        }
        Err(failure) => {
            say(&failure.message);
            failure.status
        }
    }
}

fn describe(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
