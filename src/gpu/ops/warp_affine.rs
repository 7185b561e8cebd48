//! Host side of `kernels/warp_affine.wgsl`: a smooth crop, or a face where it goes.

use crate::gpu::builder::Call;
use crate::gpu::params::Params;

/// `source`, `[height, width]`, becomes `[height, width]` of `size`, each the mean of `factor²`
/// samples.
pub fn record(source: [usize; 2], size: [usize; 2], factor: usize, border: [u8; 3]) -> Call {
    let [red, green, blue] = border.map(usize::from);
    let border = red | green << 8 | blue << 16;
    let params = Params::uints([
        ("source_height", source[0]),
        ("source_width", source[1]),
        ("height", size[0]),
        ("width", size[1]),
        ("factor", factor),
        ("border", border),
    ]);
    Call::new("warp_affine", &[], params, size[0] * size[1])
}
