//! `libpentimento`: the functions of `include/pentimento.h`, from the crate's `src/ffi`.

pub use pentimento::ffi::*;
