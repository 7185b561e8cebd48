//! Host sides of the snippets that kernels share: `kernels/shared`.

pub mod epilogue;
pub mod load;
pub mod product;
