//! The library's log, and that of wgpu below it, for C.

use std::ffi::{CString, c_char, c_void};
use std::sync::{PoisonError, RwLock};

use log::{LevelFilter, Log, Metadata, Record};

use super::status::{Failure, Status, border};

/// How much is logged.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum LogLevel {
    /// Nothing.
    Off = 0,
    /// What failed.
    Error = 1,
    /// What may surprise.
    Warn = 2,
    /// What is done.
    Info = 3,
    /// Every step.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// Gets one line of the log: `user`, a pentimento_log_level and a text in UTF-8, which is valid
/// during the call. May be called from any thread. It must not call the library.
pub type LogCallback =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, level: u32, text: *const c_char)>;

/// Calls a log callback.
pub type LogGuard = Option<
    unsafe extern "C-unwind" fn(
        callback: LogCallback,
        user: *mut c_void,
        level: u32,
        text: *const c_char,
    ),
>;

#[derive(Clone, Copy)]
struct Receiver {
    guard: LogGuard,
    callback: LogCallback,
    user: *mut c_void,
}

// SAFETY: the header says that the callback may be called from any thread with its `user`.
unsafe impl Send for Receiver {}
// SAFETY: as above, also from several at a time.
unsafe impl Sync for Receiver {}

static RECEIVER: RwLock<Option<Receiver>> = RwLock::new(None);

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let receiver = *RECEIVER.read().unwrap_or_else(PoisonError::into_inner);
        let Some(Receiver { guard, callback: Some(callback), user }) = receiver else { return };
        let text = format!("{}: {}", record.target(), record.args()).replace('\0', " ");
        let text = CString::new(text).unwrap_or_default();
        let level = record.level() as u32;
        // SAFETY: the pointers were given for this, and the text lives until the call returns.
        unsafe {
            match guard {
                Some(guard) => guard(Some(callback), user, level, text.as_ptr()),
                None => callback(user, level, text.as_ptr()),
            }
        }
    }

    fn flush(&self) {}
}

/// Lets `callback` get the log of the whole process up to `level`, a pentimento_log_level; NULL
/// ends it. Only one callback gets it at a time. When this returns, a former callback may still be
/// running in another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_set_log(
    callback: LogCallback,
    user: *mut c_void,
    level: u32,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe { pentimento_set_log_guarded(None, callback, user, level) }
}

/// pentimento_set_log with a `guard` that calls the callback: how the header contains C++
/// exceptions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pentimento_set_log_guarded(
    guard: LogGuard,
    callback: LogCallback,
    user: *mut c_void,
    level: u32,
) -> Status {
    border(|| {
        let filter = match level {
            _ if callback.is_none() => LevelFilter::Off,
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            4 => LevelFilter::Debug,
            5 => LevelFilter::Trace,
            other => {
                return Err(Failure::argument(format!("{other} is not a pentimento_log_level")));
            }
        };
        static LOGGER: Logger = Logger;
        // It fails from the second time on, and where a program in Rust has a logger of its own.
        let _ = log::set_logger(&LOGGER);
        let receiver = callback.is_some().then_some(Receiver { guard, callback, user });
        *RECEIVER.write().unwrap_or_else(PoisonError::into_inner) = receiver;
        log::set_max_level(filter);
        Ok(())
    })
}
