//! The fuzz targets with what they need of the tests.

#[path = "../tests/hostile/build.rs"]
#[allow(dead_code)]
mod build;
#[path = "../tests/hostile/corpus.rs"]
#[allow(dead_code)]
mod corpus;
pub mod targets;
