//! The functions of `include/pentimento.h`, from the crate's `src/ffi`, as libraries.

pub use pentimento::ffi::*;
