//! Working memory of `channel_attention`.

use crate::graph::ops::ChannelAttention;
use crate::plan::{Step, Target};

/// A score for each pair of channels of a head.
pub fn len(step: &Step, _: &Target) -> usize {
    let shape = step.output.shape;
    step.op().map_or(0, |op: &ChannelAttention| shape.n * shape.c * (shape.c / op.heads))
}
