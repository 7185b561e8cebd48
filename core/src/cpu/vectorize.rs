//! Loops compiled for all vector instructions of this machine.

use pulp::{Arch, Simd, WithSimd};

/// Calls `work` where the compiler may use every vector instruction of this machine. The closure
/// is to be marked `#[inline(always)]`.
///
/// pulp's own dispatch of closures goes through `FnOnce::call_once`, which the compiler leaves
/// out of line, and so without those instructions, where the closure only borrows.
pub fn vectorize<R>(work: impl FnMut() -> R) -> R {
    struct Vectorized<F>(F);
    impl<R, F: FnMut() -> R> WithSimd for Vectorized<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Vectorized(work))
}
