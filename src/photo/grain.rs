//! The fine noise of a photo, which a restored face lacks.
//!
//! A face without grain looks cut out of another picture. So grain of the strength that the photo
//! has around it goes over the face: measured, not kept, because a network cannot tell grain from
//! damage.

/// Grain beyond this is damage, in levels.
const MOST: f64 = 12.0;

/// Standard deviation of the noise in levels, of those pixels of a `height × width` picture that
/// `chosen` takes: the median of the absolute values of Immerkær's operator (the difference of two
/// Laplacians, blind to slopes and to straight edges along the axes) over 6, and over the median of
/// a normal distribution's absolute values. 0 where too few pixels are chosen.
///
/// Immerkær, "Fast Noise Variance Estimation" (1996).
pub fn level(luminance: &[u8], height: usize, width: usize, chosen: impl Fn(usize) -> bool) -> f64 {
    let mut counts = [0_usize; 8 * 255 + 1];
    let mut total = 0;
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let i = y * width + x;
            if !chosen(i) {
                continue;
            }
            let at = |j: usize| i32::from(luminance[j]);
            let row = |j: usize| at(j - 1) - 2 * at(j) + at(j + 1);
            let value = row(i - width) - 2 * row(i) + row(i + width);
            counts[value.unsigned_abs() as usize] += 1;
            total += 1;
        }
    }
    if total < 64 {
        return 0.0;
    }
    let mut below = 0;
    let median = counts.iter().position(|&count| {
        below += count;
        2 * below >= total
    });
    // A median of 0 or 1 is the rounding to whole levels, not noise.
    median.filter(|&median| median > 1).map_or(0.0, |median| median as f64 / (6.0 * 0.6745))
}

/// How much grain, in levels, is missing from a face that has `face` where the photo has `photo`.
pub fn missing(photo: f64, face: f64) -> f64 {
    (photo * photo - face * face).max(0.0).sqrt().min(MOST)
}

/// Grain of standard deviation 1 at a pixel of a photo, the same at every run: the sum of four
/// uniform numbers from a hash of the place (Jarzynski and Olano, "Hash Functions for GPU
/// Rendering", 2020: `pcg2d`).
pub fn at(x: usize, y: usize) -> f64 {
    let (mut x, mut y) = (x as u32, y as u32);
    let step = |v: u32| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (x, y) = (step(x), step(y));
    x = x.wrapping_add(y.wrapping_mul(1_664_525));
    y = y.wrapping_add(x.wrapping_mul(1_664_525));
    (x, y) = (x ^ (x >> 16), y ^ (y >> 16));
    x = x.wrapping_add(y.wrapping_mul(1_664_525));
    y = y.wrapping_add(x.wrapping_mul(1_664_525));
    (x, y) = (x ^ (x >> 16), y ^ (y >> 16));
    let halves = [x & 0xffff, x >> 16, y & 0xffff, y >> 16];
    let sum: f64 = halves.iter().map(|&v| (f64::from(v) + 0.5) / 65536.0 - 0.5).sum();
    // The variance of a uniform number is 1/12.
    sum * 3.0_f64.sqrt()
}

/// Luminance of red, green and blue, as 1, 2 and 1 of 4.
pub fn luminance([red, green, blue]: [u8; 3]) -> u8 {
    ((u16::from(red) + 2 * u16::from(green) + u16::from(blue) + 2) / 4) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(sigma: f64, clear: impl Fn(usize, usize) -> f64) -> Vec<u8> {
        let value =
            |i: usize| (clear(i % 128, i / 128) + sigma * at(i % 128, i / 128)).round() as u8;
        (0..128 * 128).map(value).collect()
    }

    #[test]
    fn the_level_is_that_of_the_noise_and_not_of_slopes_and_edges() {
        for sigma in [2.0, 5.0, 10.0] {
            let found =
                level(&picture(sigma, |x, y| 40.0 + (x + y) as f64 / 2.0), 128, 128, |_| true);
            assert!((found / sigma - 1.0).abs() < 0.15, "{found} for {sigma}");
        }
        let edge = picture(0.0, |x, _| if x < 64 { 30.0 } else { 200.0 });
        assert_eq!(level(&edge, 128, 128, |_| true), 0.0);
        assert_eq!(level(&edge, 128, 128, |i| i < 10), 0.0);
        assert_eq!(level(&[], 0, 0, |_| true), 0.0);
    }

    #[test]
    fn grain_has_mean_0_and_variance_1_and_no_rows() {
        let all: Vec<f64> = (0..256 * 256).map(|i| at(i % 256, i / 256)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|v| v * v).sum::<f64>() / all.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        for shift in [1, 256, 257] {
            let product: f64 = all.iter().zip(&all[shift..]).map(|(a, b)| a * b).sum();
            assert!((product / all.len() as f64).abs() < 0.02, "{shift}");
        }
    }

    #[test]
    fn only_what_is_missing_is_added() {
        assert_eq!(missing(5.0, 3.0), 4.0);
        assert_eq!(missing(3.0, 5.0), 0.0);
        assert_eq!(missing(90.0, 0.0), MOST);
    }
}
