//! Host side of `kernels/match_colours.wgsl`: the light of a photo for a face of a network.

use crate::gpu::builder::Call;
use crate::gpu::params::Params;

/// Along rows, then along columns, of faces of `size × size` pixels, with `2·radius + 1` weights.
pub fn record(size: usize, radius: usize) -> [Call; 2] {
    [&[("ROWS", 1)][..], &[]].map(|defines| {
        let params = Params::uints([("size", size), ("radius", radius)]);
        Call::new("match_colours", defines, params, size * size)
    })
}
