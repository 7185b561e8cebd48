//! Whether a thread may be blocked while a device works: one fact about the caller, told by how it
//! drives a future, and by nothing that is handed through.
//!
//! A blocking verb drives its future with [`block_on`]. All that it awaits then waits on the
//! caller's own thread. Any other future is driven by a program's runtime, whose threads stay free.

#[cfg(not(target_arch = "wasm32"))]
use std::cell::Cell;

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Drives `work` on this thread, which may be blocked until it is done.
#[cfg(not(target_arch = "wasm32"))]
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    /// Puts back what was true before, also when a callback of the program panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            MAY_BLOCK.set(self.0);
        }
    }
    let _before = Before(MAY_BLOCK.replace(true));
    pollster::block_on(work)
}

/// Whether the future that is running was started by [`block_on`].
#[cfg(not(target_arch = "wasm32"))]
pub fn may_block() -> bool {
    MAY_BLOCK.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_blocks_may_block() {
        assert!(!may_block());
        let inside = block_on(async {
            let nested = block_on(async { may_block() });
            [nested, may_block()]
        });
        assert_eq!(inside, [true, true]);
        assert!(!may_block(), "a program's own future after it");
        assert!(!pollster::block_on(async { may_block() }));
    }

    #[test]
    fn a_panic_ends_it_too() {
        let panicked = std::panic::catch_unwind(|| block_on(async { panic!("a callback") }));
        assert!(panicked.is_err() && !may_block());
    }
}
