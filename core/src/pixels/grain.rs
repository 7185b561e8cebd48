//! How grain is measured and made.

/// Values of the operator: its weights' absolute values sum to 16, half of them positive.
pub const BINS: usize = 8 * 255 + 1;

/// Luminance of red, green and blue, as 1, 2 and 1 of 4.
pub fn luminance([red, green, blue]: [u8; 3]) -> u8 {
    ((u16::from(red) + 2 * u16::from(green) + u16::from(blue) + 2) / 4) as u8
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
