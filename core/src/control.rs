//! [`Control`]: how far work has come, and a way to stop it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// In a browser the standard library has no clock.
#[cfg(not(target_arch = "wasm32"))]
pub use std::time::Instant;
#[cfg(target_arch = "wasm32")]
pub use web_time::Instant;

type Report = dyn Fn(f32) -> ControlFlow<()> + Send + Sync;

/// Watches work and stops it. Given to a `Session` or to one of the restorers in `photo`, it is asked
/// at every step on the CPU and between submissions on a GPU. Clones share one state, so that another
/// thread or a signal handler can cancel.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
    /// The part of the whole work that is watched: its beginning and its length.
    part: [f32; 2],
}

struct Shared {
    cancelled: AtomicBool,
    report: Option<Box<Report>>,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// Only cancels.
    pub fn new() -> Self {
        Self::of(None)
    }

    /// Also calls `report` from the thread that works, with the part that is done: from 0 to 1,
    /// never falling. [`ControlFlow::Break`] cancels.
    pub fn with_progress(report: impl Fn(f32) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        Self::of(Some(Box::new(report)))
    }

    fn of(report: Option<Box<Report>>) -> Self {
        let shared = Shared { cancelled: AtomicBool::new(false), report };
        Self { shared: Arc::new(shared), part: [0.0, 1.0] }
    }

    /// Makes work end with [`Error::Cancelled`] as soon as it looks. Once cancelled, a control
    /// stays so.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed)
    }

    /// A control for piece `index` of `count` equal ones of its work.
    #[doc(hidden)]
    pub fn piece(&self, index: usize, count: usize) -> Self {
        let [start, length] = self.part;
        let length = length / count.max(1) as f32;
        Self { shared: Arc::clone(&self.shared), part: [start + index as f32 * length, length] }
    }

    /// A control for the work from this piece to `last`, a later one of the same work.
    #[doc(hidden)]
    pub fn until(&self, last: &Self) -> Self {
        let [start, length] = last.part;
        let length = (start + length - self.part[0]).max(self.part[1]);
        Self { shared: Arc::clone(&self.shared), part: [self.part[0], length] }
    }

    /// A control for work that counts for nothing: it can be cancelled, and its progress stays.
    #[doc(hidden)]
    pub fn still(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), part: [self.part[0], 0.0] }
    }

    /// Says that `done`, from 0 to 1, of its work is done.
    ///
    /// # Errors
    /// [`Error::Cancelled`]
    #[doc(hidden)]
    pub fn report(&self, done: f32) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let [start, length] = self.part;
        let told = self.shared.report.as_ref().map(|report| report(start + done * length));
        if told.is_some_and(|flow| flow.is_break()) {
            self.cancel();
        }
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// How a run of an executor is watched.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// What is told of progress, and stops the run.
    pub control: Option<Control>,
    /// Whether every step is timed.
    pub time_steps: bool,
}

impl Watch {
    /// As [`Control::report`], where there is one.
    pub fn report(&self, done: usize, all: usize) -> Result<()> {
        match &self.control {
            Some(control) => control.report(done as f32 / all.max(1) as f32),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn pieces_fill_the_whole() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let control = Control::with_progress(move |done| {
            told.lock().unwrap().push(done);
            ControlFlow::Continue(())
        });
        for index in 0..2 {
            let half = control.piece(index, 2);
            for quarter in 0..2 {
                half.piece(quarter, 2).report(1.0).unwrap();
            }
        }
        assert_eq!(*seen.lock().unwrap(), [0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn a_piece_cancels_the_whole() {
        let control = Control::with_progress(|done| {
            if done > 0.4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(control.piece(0, 2).report(0.5).is_ok());
        assert!(matches!(control.piece(1, 2).report(0.0), Err(Error::Cancelled)));
        assert!(matches!(control.report(0.0), Err(Error::Cancelled)));
        assert!(control.is_cancelled());
    }
}
