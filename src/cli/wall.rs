//! What goes wrong with one picture ends that picture, not the run.
//!
//! A decoder may panic on a file that nobody has tried yet. Here the panic becomes an error of that
//! picture. Memory is asked for before it is needed, since a failed allocation ends the program.
//! Work that never ends is left behind by [`Stage`](super::stage::Stage).

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use pentimento::{Error, Result};

/// Walls that stand now, over all threads: work inside of one may panic on a thread of its own.
static WALLS: AtomicUsize = AtomicUsize::new(0);
/// Where the last panic inside of a wall was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// From now on a panic inside of a wall prints nothing of its own: it is told with its picture.
pub fn raise() {
    thread_local!(static RAISED: Cell<bool> = const { Cell::new(false) });
    if RAISED.replace(true) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if WALLS.load(Ordering::Relaxed) == 0 || wants_backtrace() {
            before(info);
        }
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

fn wants_backtrace() -> bool {
    std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| !wanted.is_empty() && wanted != "0")
}

/// What `work` returns; its panic as an error.
///
/// # Errors
/// Those of `work`, and [`Error::Internal`] for its panic.
pub fn walled<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    WALLS.fetch_add(1, Ordering::Relaxed);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    WALLS.fetch_sub(1, Ordering::Relaxed);
    result.unwrap_or_else(|panic| Err(broken(&*panic)))
}

/// The error of work that panicked.
fn broken(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let place = place.map_or_else(String::new, |place| format!(", at {place}"));
    let text = text.unwrap_or_else(|| "for no known reason".to_owned());
    Error::Internal(format!("this picture made the program panic ({text}{place})"))
}

/// Asks for `bytes` of memory, and gives them back at once.
///
/// # Errors
/// [`Error::Image`] where there are not so many.
pub fn reserve(path: &Path, bytes: usize) -> Result<()> {
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(bytes).map_err(|_| Error::Image {
        path: path.to_owned(),
        what: format!(
            "this picture needs about {} MB of memory, more than there is; scale it down first, or \
             end other programs",
            bytes / 1_000_000
        ),
    })
}

/// For tests of the wall, in builds with debug assertions only: what `PENTIMENTO_FAULT` asks for,
/// `STAGE:KIND:NAME`, happens in that stage to the picture of that name. A device is lost once.
///
/// # Errors
/// [`Error::DeviceLost`] for the kind `lost`.
pub fn fault(stage: &str, input: &Path) -> Result<()> {
    static LOST: AtomicBool = AtomicBool::new(false);
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let Ok(wanted) = std::env::var("PENTIMENTO_FAULT") else { return Ok(()) };
    let mut parts = wanted.splitn(3, ':');
    let (at, kind, name) = (parts.next(), parts.next(), parts.next());
    if at != Some(stage) || name != input.file_name().and_then(|name| name.to_str()) {
        return Ok(());
    }
    match kind {
        Some("panic") => panic!("a test asked for it"),
        Some("hang") => loop {
            std::thread::park();
        },
        Some("lost") if !LOST.swap(true, Ordering::Relaxed) => {
            Err(Error::DeviceLost("a test asked for it".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_why() {
        let error = walled::<()>(|| panic!("the {}th row", 7)).unwrap_err().to_string();
        assert!(error.contains("the 7th row") && error.contains("report it"), "{error}");
        let error = walled::<()>(|| Err(Error::Cancelled)).unwrap_err();
        assert!(matches!(error, Error::Cancelled));
        assert_eq!(walled(|| Ok(5)).unwrap(), 5);
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let error = reserve(Path::new("a.png"), isize::MAX as usize).unwrap_err().to_string();
        assert!(error.starts_with("a.png: ") && error.contains("MB of memory"), "{error}");
        reserve(Path::new("a.png"), 1 << 20).unwrap();
    }
}
