//! ONNX and ncnn files, whose networks are recognised by what they compute.

mod exported;
mod files;
mod mapped;
mod ncnn;
#[allow(dead_code)]
mod networks;
mod onnx;
mod refused;
#[path = "../../../../tests/support/skipped.rs"]
mod skipped;
