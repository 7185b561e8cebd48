//! `paste`: a face goes into a photo where a mask says so, with grain.

use crate::pixels::noise;

/// `photo[i] = m·(warped[i] + grain·noise) + (1 - m)·photo[i]`, `m = strength·soft[i]`, on the area
/// of a photo with rows of `photo_width` pixels whose first pixel is `first` and whose rows have
/// `width` pixels.
pub fn run(
    photo: &mut [[u8; 3]],
    [photo_width, first, width]: [usize; 3],
    warped: &[[u8; 3]],
    soft: &[f32],
    [strength, grain]: [f32; 2],
) {
    for (i, (face, soft)) in warped.iter().zip(soft).enumerate() {
        let at = first + i / width * photo_width + i % width;
        let m = strength * soft;
        let noise = grain * noise(at % photo_width, at / photo_width);
        photo[at] = std::array::from_fn(|c| {
            let new = f32::from(face[c]) + noise;
            (m * new + (1.0 - m) * f32::from(photo[at][c]) + 0.5).floor() as u8
        });
    }
}
