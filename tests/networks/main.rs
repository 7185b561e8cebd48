//! Whole networks against PyTorch: every golden checkpoint whose architecture the engine knows, by
//! all executors.

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod codes;
mod cost;
mod detect;
mod fullsize;
mod golden;
mod memory;
mod mmrbnet;
mod plans;
mod precision;
mod recognise;
mod relatives;
mod sessions;
mod training;
mod upscalers;
