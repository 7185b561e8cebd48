//! The executor that needs no GPU, and the twin of every kernel.
//!
//! Each `x.rs` here is kernel `x` as plain loops, straight from the formulas in
//! [`Op`](crate::graph::Op) and [`Epilogue`](crate::plan::Epilogue): the version to read, and the
//! one that every fast version is compared with. Convolutions, which cost nearly all the time,
//! have a fast version too: `conv_gemm`, `conv_small`, `conv_winograd` and the `Packed` types of the others;
//! so has `attention`.

mod arena;
pub mod block_luminance;
mod blocks;
mod epilogue;
mod executor;
mod exp;
mod gather;
pub mod grain_histogram;
pub mod image_to_tensor;
mod kernel;
pub mod match_colours;
mod matmul;
mod pages;
pub mod paste;
#[cfg(not(target_arch = "wasm32"))]
pub mod probe;
mod team;
mod tensor;
mod tensor_to_image;
pub mod tone;
mod upsample;
mod vectorize;
pub mod warp_affine;
mod workspace;

// The twins of convolutions, which have no fast version of their names.
mod conv_direct;
mod multi_path_conv;

macro_rules! twins {
    (
        chosen { $($(#[$chosen_doc:meta])* $chosen:ident $(($chosen_form:ty))?: $chosen_name:ident $chosen_wgsl:tt $(scratch $chosen_scratch:ident)?,)* }
        gpu { $($(#[$gpu_doc:meta])* $gpu:ident $(($gpu_form:ty))?: $gpu_name:ident $gpu_wgsl:tt $(scratch $gpu_scratch:ident)?,)* }
        cpu { $($(#[$cpu_doc:meta])* $cpu:ident $(($cpu_form:ty))?: $cpu_name:ident,)* }
        only { $($(#[$only_doc:meta])* $only:ident: $only_name:ident $only_wgsl:tt $(scratch $only_scratch:ident)?,)* }
    ) => {
        $(mod $chosen_name;)*
        $(mod $cpu_name;)*
        $(mod $only_name;)*
    };
}

crate::for_each_kernel!(twins);

pub use executor::{Executor, Trace};
