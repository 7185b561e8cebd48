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
mod lab;
mod large_album;
mod models;
mod movie;
mod pictures;
mod replacing;
mod several_devices;
mod support;
mod terminal;
mod unchanged;
mod walls;
