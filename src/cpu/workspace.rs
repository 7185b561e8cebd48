//! Working memory that threads borrow and give back, so that a second run allocates nothing.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::pages::Pages;

/// A pool of arrays.
#[derive(Debug, Default)]
pub struct Workspace {
    free: Mutex<Vec<Pages>>,
}

impl Workspace {
    /// A buffer of `len` values left over from anything.
    pub fn take(&self, len: usize) -> Buffer<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Any that is free: buffers grow to what the largest step needs, then stay.
        let mut values = free.pop().unwrap_or_default();
        drop(free);
        if values.len() < len {
            // As for a vector, there is no way on without memory.
            values = Pages::new(len).expect("working memory");
        }
        Buffer { values, len, pool: self }
    }

    /// Bytes held while nobody borrows.
    pub fn memory(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(|values| size_of_val(&values[..])).sum()
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
