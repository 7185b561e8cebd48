//! Twin of `kernels/tone.wgsl`.

use crate::pixels::luminance;

/// Every pixel of `face` becomes the one of `tones`, 256 pixels, that its luminance names.
pub fn run(tones: &[[u8; 3]], face: &[[u8; 3]]) -> Vec<[u8; 3]> {
    let toned = |&pixel: &[u8; 3]| tones.get(usize::from(luminance(pixel))).copied();
    face.iter().map(|pixel| toned(pixel).unwrap_or(*pixel)).collect()
}
