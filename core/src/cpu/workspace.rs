//! Working memory that threads borrow and give back, so that a second run allocates nothing.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use super::pages::Pages;
use crate::error::{Error, Result};

/// A pool of arrays.
#[derive(Debug, Default)]
pub struct Workspace {
    free: Mutex<Vec<Pages>>,
}

impl Workspace {
    /// A buffer of `len` values left over from anything.
    ///
    /// Kernels ask for it deep in loops on all threads. Where there is no memory, the thread unwinds
    /// with [`NoMemory`] to [`until_no_memory`], which the executor puts around each step.
    pub fn take(&self, len: usize) -> Buffer<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Any that is free: buffers grow to what the largest step needs, then stay.
        let mut values = free.pop().unwrap_or_default();
        drop(free);
        if values.len() < len {
            // Not a panic: nothing is wrong, and no hook is to report it.
            values = Pages::new(len).unwrap_or_else(|| resume_unwind(Box::new(NoMemory { len })));
        }
        Buffer { values, len, pool: self }
    }

    /// Bytes held while nobody borrows.
    pub fn memory(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(|values| size_of_val(&values[..])).sum()
    }
}

/// Working memory that the system refused.
struct NoMemory {
    /// In values.
    len: usize,
}

/// Runs `step`, which takes from workspaces.
///
/// # Errors
/// [`Error::OutOfMemory`] when one of them got no memory.
pub fn until_no_memory(step: impl FnOnce()) -> Result<()> {
    let Err(payload) = catch_unwind(AssertUnwindSafe(step)) else { return Ok(()) };
    match payload.downcast::<NoMemory>() {
        Ok(refused) => Err(Error::OutOfMemory {
            needed: refused.len.saturating_mul(size_of::<f32>()),
            available: 0,
            hint: "the system has no more working memory; end other programs, or try a smaller \
                   picture"
                .to_owned(),
        }),
        Err(panic) => resume_unwind(panic),
    }
}

/// A borrowed array.
#[derive(Debug)]
pub struct Buffer<'a> {
    values: Pages,
    len: usize,
    pool: &'a Workspace,
}

impl Deref for Buffer<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any system has, in values.
    const TOO_MANY: usize = usize::MAX / 64;

    #[test]
    fn memory_that_is_refused_on_any_thread_is_an_error_of_the_step() {
        let workspace = Workspace::default();
        let error = until_no_memory(|| drop(workspace.take(TOO_MANY))).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
        let refused = until_no_memory(|| {
            crate::cpu::team::for_each((0..64).collect(), |i: usize| {
                drop(workspace.take(if i == 40 { TOO_MANY } else { 16 }));
            });
        });
        assert!(matches!(refused, Err(Error::OutOfMemory { .. })));
        until_no_memory(|| drop(workspace.take(16))).unwrap();
        assert!(workspace.memory() >= 64);
    }
}
