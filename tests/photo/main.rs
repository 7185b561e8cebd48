//! Whole photos: alignment, crops and blending against the reference pipeline.

#[path = "../support/mod.rs"]
mod support;

mod front_door;
mod metadata;
mod pipeline;
mod portraits;
mod whole;
