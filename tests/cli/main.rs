//! The command line as a person meets it: what it prints, writes and returns.

mod advice;
mod album;
mod bad_input;
mod bench;
#[path = "../../tools/convert/tests/hostile/build.rs"]
#[allow(dead_code)]
mod build;
mod commands;
mod convert;
#[path = "../../tools/convert/tests/hostile/corpus.rs"]
mod corpus;
mod faces;
mod film;
mod foreign;
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
#[path = "../../tools/convert/tests/nameless/onnx.rs"]
#[allow(dead_code)]
mod onnx;
mod pictures;
mod replacing;
mod several_devices;
#[path = "../support/skipped.rs"]
mod skipped;
mod support;
mod terminal;
mod unchanged;
mod walls;
