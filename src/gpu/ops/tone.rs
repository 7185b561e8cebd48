//! Host side of `kernels/tone.wgsl`: the tone of a print for a restored face.

use crate::gpu::builder::Call;
use crate::gpu::params::Params;

/// Of a face of `pixels` pixels.
pub fn record(pixels: usize) -> Call {
    Call::new("tone", &[], Params::uints([("pixels", pixels)]), pixels)
}
