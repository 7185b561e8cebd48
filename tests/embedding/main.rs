//! The library as other programs use it.

mod control;
mod frames;
mod on_gpu;
#[path = "../support/mod.rs"]
mod support;
mod surface;
mod timings;

use support::engines::{cpu, engines, gpu, model, model_file, picture};
