//! `paste`: a face goes into a photo where a mask says so, with grain.

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

/// Noise of standard deviation 1 at a pixel of a photo, the same at every run: the sum of four
/// uniform numbers from a hash of the place (Jarzynski and Olano, "Hash Functions for GPU
/// Rendering", 2020: `pcg2d`).
pub fn noise(x: usize, y: usize) -> f32 {
    let step = |v: usize| (v as u32).wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let (mut x, mut y) = (step(x), step(y));
    for _ in 0..2 {
        x = x.wrapping_add(y.wrapping_mul(1_664_525));
        y = y.wrapping_add(x.wrapping_mul(1_664_525));
        (x, y) = (x ^ (x >> 16), y ^ (y >> 16));
    }
    let halves = [x & 0xffff, x >> 16, y & 0xffff, y >> 16];
    let sum: f32 = halves.iter().map(|&v| (v as f32 + 0.5) / 65536.0 - 0.5).sum();
    // The variance of a uniform number is 1/12.
    sum * 3.0_f32.sqrt()
}
