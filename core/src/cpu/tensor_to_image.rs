//! `tensor_to_image`: a `[1, 3, H, W]` tensor becomes interleaved bytes.

use crate::pixels::PixelFormat;

/// `pixels[p][c'] = round((x[c,p] - offset[c]) / scale[c])`, halves to even, clamped to 0..=255,
/// with `c' = c`, or `2 - c` for BGR tensors; a fourth byte is 255.
pub fn run(x: &[f32], format: &PixelFormat, pixels: &mut [u8]) {
    pixels.fill(255);
    let plane = x.len() / 3;
    for (c, values) in x.chunks_exact(plane).enumerate() {
        let byte = if format.bgr { 2 - c } else { c };
        let (scale, offset) = (format.scale[c], format.offset[c]);
        for (pixel, x) in pixels.chunks_exact_mut(format.channels).zip(values) {
            pixel[byte] = ((x - offset) / scale).round_ties_even().clamp(0.0, 255.0) as u8;
        }
    }
}
