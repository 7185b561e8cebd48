//! The fuzz targets with what they need of the tests.

#[path = "../tests/hostile/build.rs"]
#[allow(dead_code)]
mod build;
#[path = "../tests/hostile/corpus.rs"]
#[allow(dead_code)]
mod corpus;
#[path = "../tests/nameless/ncnn.rs"]
mod ncnn;
#[path = "../tests/nameless/networks.rs"]
#[allow(dead_code)]
mod networks;
#[path = "../tests/nameless/onnx.rs"]
#[allow(dead_code)]
mod onnx;
pub mod targets;
