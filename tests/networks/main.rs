//! Whole networks against PyTorch: every golden checkpoint whose architecture the engine knows, by
//! all executors.

#[path = "../support/mod.rs"]
mod support;

mod detect;
mod fullsize;
mod golden;
mod mmrbnet;
mod recognise;
mod sessions;
