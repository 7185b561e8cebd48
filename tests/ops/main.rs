//! Every kernel against its twin on random shapes, and both against PyTorch's goldens.

#[path = "../support/mod.rs"]
mod support;

mod conv_depthwise;
mod conv_direct;
mod conv_gemm;
mod conv_transpose;
mod conv_winograd;
mod goldens;
mod harness;
mod images;
mod linear;
mod multi_path_conv;
mod pointwise;
mod pool;
mod resample;
