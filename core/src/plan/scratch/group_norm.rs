//! Working memory of `group_norm`.

use crate::graph::ops::GroupNorm;
use crate::plan::{Step, Target};
use crate::tensor::Shape;

/// Values of a group that one workgroup of a group norm sums at least: fewer are not worth its
/// start.
const NORM_CHUNK: usize = 4096;

/// Chunks of a group at most: as many as a workgroup has invocations, each of which reads the
/// moments of one.
pub const NORM_CHUNKS: usize = 64;

/// Working memory of `Variant::GroupNorm` on a GPU: the mean of each chunk of each group of each
/// sample, and the sum of the squared distances from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NormScratch {
    /// Values of a group.
    pub group: usize,
    /// Values of a chunk; the last one of a group may have fewer.
    pub chunk: usize,
    /// Chunks of a group.
    pub chunks: usize,
}

impl NormScratch {
    /// For `groups` groups of an input of `shape`.
    pub fn new(shape: Shape, groups: usize) -> Self {
        let group = shape.sample() / groups;
        let chunk = group.div_ceil(NORM_CHUNKS).max(NORM_CHUNK);
        Self { group, chunk, chunks: group.div_ceil(chunk) }
    }
}

/// Mean and sum of each chunk.
pub fn len(step: &Step, _: &Target) -> usize {
    let shape = step.output.shape;
    let chunks =
        |op: &GroupNorm| 2 * shape.n * op.groups * NormScratch::new(shape, op.groups).chunks;
    step.op().map_or(0, chunks)
}
