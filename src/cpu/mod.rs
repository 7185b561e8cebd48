//! The executor that needs no GPU, and the twin of every kernel.
//!
//! Each `x.rs` here is kernel `x` as plain loops, straight from the formulas in
//! [`Op`](crate::graph::Op) and [`Epilogue`](crate::plan::Epilogue): the version to read, and the
//! one that every fast version is compared with. Convolutions, which cost nearly all the time,
//! have a fast version too: `conv_gemm`, `conv_small`, `conv_winograd` and the `Packed` types of the others;
//! so has `attention`.

mod ada_in;
mod adaptive_avg_pool;
mod arena;
mod arg_max;
mod attention;
pub(crate) mod block_luminance;
mod blocks;
mod constant;
mod conv_depthwise;
mod conv_direct;
mod conv_gemm;
mod conv_small;
mod conv_transpose;
mod conv_winograd;
mod convolution;
mod demodulate;
mod embedding;
mod epilogue;
mod executor;
mod exp;
mod gather;
pub(crate) mod grain_histogram;
mod group_norm;
pub(crate) mod image_to_tensor;
mod kernel;
mod layer_norm;
mod linear;
pub(crate) mod match_colours;
mod matmul;
mod max_pool;
mod multi_path_conv;
mod pages;
pub(crate) mod paste;
mod pixel_norm;
mod pixel_shuffle;
mod pixel_unshuffle;
mod pointwise;
#[cfg(feature = "cli")]
#[cfg(not(target_arch = "wasm32"))]
pub mod probe;
mod reflect_pad;
mod resize;
mod team;
mod tensor;
mod tensor_to_image;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upfirdn2d;
mod upsample;
mod vectorize;
pub mod warp_affine;
mod workspace;

pub use executor::{Executor, Trace};
