//! Every kernel against its twin on random shapes, and both against PyTorch's goldens.

#[path = "../support/mod.rs"]
mod support;

mod ada_in;
mod arg_max;
mod attention;
mod conv_depthwise;
mod conv_direct;
mod conv_gemm;
mod conv_transpose;
mod conv_winograd;
mod embedding;
mod golden_cases;
mod goldens;
mod group_norm;
mod harness;
mod images;
mod layer_norm;
mod linear;
mod multi_path_conv;
mod pointwise;
mod pool;
mod resample;
