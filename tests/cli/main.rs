//! The command line as a person meets it: what it prints, writes and returns.

mod advice;
mod album;
mod bad_input;
mod batch;
mod bench;
#[path = "../../tools/convert/tests/hostile/build.rs"]
#[allow(dead_code)]
mod build;
mod commands;
mod convert;
#[path = "../../tools/convert/tests/hostile/corpus.rs"]
mod corpus;
#[cfg(unix)]
mod devices;
mod faces;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod faults;
mod film;
mod foreign;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod gpu_faults;
mod lab;
mod large_album;
mod limits;
mod models;
mod movie;
#[path = "../../tools/convert/tests/nameless/ncnn.rs"]
#[allow(dead_code)]
mod ncnn;
#[path = "../../tools/convert/tests/nameless/networks.rs"]
#[allow(dead_code)]
mod networks;
#[cfg(unix)]
mod odd_files;
#[path = "../../tools/convert/tests/nameless/onnx.rs"]
#[allow(dead_code)]
mod onnx;
mod pictures;
#[path = "../support/print.rs"]
mod print;
mod replacing;
mod reported_faults;
mod several;
mod several_devices;
#[path = "../support/skipped.rs"]
mod skipped;
mod support;
mod terminal;
mod unchanged;
mod walls;
