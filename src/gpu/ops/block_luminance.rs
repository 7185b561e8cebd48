//! Host side of `kernels/block_luminance.wgsl`: two faces, block by block.

use crate::gpu::builder::Call;
use crate::gpu::params::Params;

/// The sums of `blocks²` blocks of two faces of `size × size` pixels.
pub fn record(size: usize, blocks: usize) -> Call {
    let params = Params::uints([("size", size), ("blocks", blocks)]);
    // One workgroup per block.
    Call::new("block_luminance", &[], params, 2 * blocks * blocks * Call::WORKGROUP)
}
