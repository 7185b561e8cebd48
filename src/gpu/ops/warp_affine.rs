//! Host side of `kernels/warp_affine.wgsl`: a smooth crop, or a face where it goes.

use crate::gpu::builder::Call;

/// `source`, `[height, width]`, becomes `[height, width]` of `size`, each the mean of `factor²`
/// samples.
pub fn record(source: [usize; 2], size: [usize; 2], factor: usize, border: [u8; 3]) -> Call {
    let [red, green, blue] = border.map(u32::from);
    let words = [source[0], source[1], size[0], size[1], factor].map(|v| v as u32);
    let border = red | green << 8 | blue << 16;
    let params = words.into_iter().chain([border]).collect();
    Call::new("warp_affine", &[], params, size[0] * size[1])
}
