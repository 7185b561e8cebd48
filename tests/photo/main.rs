//! Whole photos: alignment, crops and blending against the reference pipeline.

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod formats;
mod front_door;
mod heif;
mod metadata;
mod pages;
mod pipeline;
mod portraits;
#[path = "../support/print.rs"]
mod print;
mod whole;
