//! Host side of `kernels/block_luminance.wgsl`: two faces, block by block.

use super::Call;

/// The sums of `blocks²` blocks of two faces of `size × size` pixels.
pub fn record(size: usize, blocks: usize) -> Call {
    let params = [size, blocks].map(|v| v as u32).to_vec();
    // One workgroup per block.
    Call::new("block_luminance", &[], params, 2 * blocks * blocks * Call::WORKGROUP)
}
