//! `image_to_tensor`: interleaved bytes become a `[1, 3, H, W]` tensor.

use crate::pixels::PixelFormat;

/// `y[c,p] = pixels[p][c'] · scale[c] + offset[c]` with `c' = c`, or `2 - c` for BGR tensors.
pub fn run(pixels: &[u8], format: &PixelFormat, output: &mut [f32]) {
    let plane = output.len() / 3;
    for (c, values) in output.chunks_exact_mut(plane).enumerate() {
        let byte = if format.bgr { 2 - c } else { c };
        let (scale, offset) = (format.scale[c], format.offset[c]);
        for (y, pixel) in values.iter_mut().zip(pixels.chunks_exact(format.channels)) {
            *y = f32::from(pixel[byte]) * scale + offset;
        }
    }
}
