//! Host side of `kernels/match_colours.wgsl`: the light of a photo for a face of a network.

use super::Call;

/// Along rows, then along columns, of faces of `size × size` pixels, with `2·radius + 1` weights.
pub fn record(size: usize, radius: usize) -> [Call; 2] {
    [&[("ROWS", 1)][..], &[]].map(|defines| {
        let params = [size, radius].map(|v| v as u32).to_vec();
        Call::new("match_colours", defines, params, size * size)
    })
}
