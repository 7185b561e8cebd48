//! A wall around the work on one picture, and around calls of a GPU's driver.
//!
//! A decoder may panic on a file that nobody has tried yet, and wgpu panics when a driver refuses what
//! it should not. Behind the wall, the panic is an error, and the caller goes on.

use std::future::poll_fn;
use std::panic;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::task::Poll;

use crate::{Error, Result};

/// Walls that stand now, over all threads: work inside of one may panic on a thread of its own.
static WALLS: AtomicUsize = AtomicUsize::new(0);
/// Where the last panic inside of a wall was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// From now on a panic inside of a wall prints nothing of its own: the error tells it.
///
/// A program calls this, and so do the libraries for C and Python, whose Rust nobody else uses. A
/// program in Rust that embeds the engine keeps its own hook.
pub fn silence_panics() {
    static SILENT: Once = Once::new();
    SILENT.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WALLS.load(Ordering::Relaxed) == 0 || wants_backtrace() {
                before(info);
            }
            let place = info.location().map(|at| format!(", at {}:{}", at.file(), at.line()));
            *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        }));
    });
}

fn wants_backtrace() -> bool {
    std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| !wanted.is_empty() && wanted != "0")
}

/// Why work behind a wall gave no result.
enum Fault {
    #[cfg_attr(any(target_arch = "wasm32", fuzzing), expect(dead_code))]
    NoThread(std::io::Error),
    #[cfg_attr(target_arch = "wasm32", expect(dead_code))]
    Panic(String),
}

fn with_advice(refused: std::io::Error) -> std::io::Error {
    std::io::Error::other(format!(
        "{refused}; end other programs, or allow more processes and memory"
    ))
}

/// Runs `work`, which reads, changes or writes one picture, behind a wall.
///
/// # Errors
/// Those of `work`, [`Error::Internal`] for its panic, and [`Error::Io`] when the system has no
/// thread left for it.
pub fn walled<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    behind(work).map_err(|fault| match fault {
        Fault::NoThread(source) => {
            Error::Io { action: "start", path: "a thread".into(), source: with_advice(source) }
        }
        Fault::Panic(text) => {
            Error::Internal(format!("this picture made the program panic ({text})"))
        }
    })?
}

/// As [`walled`], for work whose errors are sentences without the picture's name.
pub(crate) fn caught<T: Send>(
    work: impl FnOnce() -> std::result::Result<T, String> + Send,
) -> std::result::Result<T, String> {
    behind(work).map_err(|fault| match fault {
        Fault::NoThread(refused) => {
            format!("there is no thread left to work on it: {}", with_advice(refused))
        }
        Fault::Panic(text) => {
            format!("a fault in this program stopped the work on it: {text}; please report it")
        }
    })?
}

/// What `work` returns, on a thread of its own with a large stack; else the text of its panic.
///
/// In a browser nothing unwinds, and `work` runs as it is. A fuzzer makes more runs than threads can
/// be started, and its hook chooses which panics come here.
fn behind<T: Send>(work: impl FnOnce() -> T + Send) -> std::result::Result<T, Fault> {
    #[cfg(target_arch = "wasm32")]
    return Ok(work());
    #[cfg(fuzzing)]
    return panic::catch_unwind(panic::AssertUnwindSafe(work))
        .map_err(|panic| Fault::Panic(text_of(&*panic)));
    #[cfg(not(any(target_arch = "wasm32", fuzzing)))]
    {
        WALLS.fetch_add(1, Ordering::Relaxed);
        let result = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
            let thread = thread.map_err(Fault::NoThread)?;
            thread.join().map_err(|panic| Fault::Panic(text_of(&*panic)))
        });
        WALLS.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

/// What `work` returns, on this thread; else the text of its panic. In a browser nothing unwinds.
pub(crate) fn panic_caught<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    WALLS.fetch_add(1, Ordering::Relaxed);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(work));
    WALLS.fetch_sub(1, Ordering::Relaxed);
    result.map_err(|panic| message(&*panic).to_owned())
}

/// As [`panic_caught`], for a future. After a panic it is not polled again.
pub(crate) async fn panic_of_future_caught<T>(
    work: impl Future<Output = T>,
) -> std::result::Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|context| match panic_caught(|| work.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(text) => Poll::Ready(Err(text)),
    })
    .await
}

#[cfg(not(target_arch = "wasm32"))]
fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    format!("{}{}", message(panic), place.unwrap_or_default()).replace(char::is_control, " ")
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("for no known reason")
}

/// Bytes. Some decoders call themselves.
#[cfg(not(any(target_arch = "wasm32", fuzzing)))]
const STACK: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_why() {
        assert_eq!(caught(|| Ok(7)), Ok(7));
        let text = caught(|| -> std::result::Result<u8, String> { panic!("row {} of {}", 5, 3) });
        let text = text.unwrap_err();
        assert!(text.contains("row 5 of 3") && text.contains("report"), "{text}");
        let error = walled::<()>(|| panic!("the {}th row", 7)).unwrap_err().to_string();
        assert!(error.contains("the 7th row") && error.contains("report it"), "{error}");
        let error = walled::<()>(|| Err(Error::Cancelled)).unwrap_err();
        assert!(matches!(error, Error::Cancelled));
        assert_eq!(walled(|| Ok(5)).unwrap(), 5);
    }

    #[test]
    fn a_future_that_panics_ends_with_its_text() {
        let run = |fails: bool| {
            let work = async move {
                let mut waited = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    if std::mem::replace(&mut waited, true) {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
                assert!(!fails, "after a while");
                3
            };
            pollster::block_on(panic_of_future_caught(work))
        };
        assert_eq!(run(false), Ok(3));
        assert_eq!(run(true), Err("after a while".to_owned()));
    }
}
