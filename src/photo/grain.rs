//! The fine noise of a photo, which a restored face lacks.
//!
//! A face without grain looks cut out of another picture. So grain of the strength that the photo
//! has where the face goes is put over it: measured, not kept, because a network cannot tell grain
//! from damage.

pub use crate::cpu::grain_histogram::{operator, run as histogram};
pub use crate::pixels::{BINS, luminance};

/// Grain beyond this is damage, in levels.
const MOST: f64 = 12.0;
/// Fewer pixels say nothing.
const FEWEST: u32 = 64;

/// Standard deviation of the noise in levels, by the counts of the absolute values of Immerkær's
/// operator (the difference of two Laplacians, blind to slopes and to straight edges along the
/// axes): the median over 6, and over the median of a normal distribution's absolute values. 0
/// where too few pixels were counted.
///
/// Immerkær, "Fast Noise Variance Estimation" (1996).
pub fn level(counts: &[u32]) -> f64 {
    let total: u32 = counts.iter().sum();
    if total < FEWEST {
        return 0.0;
    }
    let mut below = 0;
    let median = counts.iter().position(|&count| {
        below += count;
        2 * u64::from(below) >= u64::from(total)
    });
    // A median of 0 or 1 is the rounding to whole levels, not noise.
    median.filter(|&median| median > 1).map_or(0.0, |median| median as f64 / (6.0 * 0.6745))
}

/// How much grain, in levels, is missing from a face that has `face` where the photo has `photo`.
pub fn missing(photo: f64, face: f64) -> f64 {
    (photo * photo - face * face).max(0.0).sqrt().min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::noise;

    fn of(sigma: f32, clear: impl Fn(usize, usize) -> f32) -> f64 {
        let value = |i: usize| clear(i % 128, i / 128) + sigma * noise(i % 128, i / 128);
        let picture: Vec<[u8; 3]> = (0..128 * 128).map(|i| [value(i).round() as u8; 3]).collect();
        level(&histogram(&picture, 128, &[1.0; 128 * 128]))
    }

    #[test]
    fn the_level_is_that_of_the_noise_and_not_of_slopes_and_edges() {
        for sigma in [2.0, 5.0, 10.0] {
            let found = of(sigma, |x, y| 40.0 + (x + y) as f32 / 2.0) / f64::from(sigma);
            assert!((found - 1.0).abs() < 0.15, "{found} of {sigma}");
        }
        assert_eq!(of(0.0, |x, _| if x < 64 { 30.0 } else { 200.0 }), 0.0);
        assert_eq!(level(&histogram(&[[9; 3]; 100], 10, &[0.0; 100])), 0.0);
        assert_eq!(level(&histogram(&[], 0, &[])), 0.0);
    }

    #[test]
    fn noise_has_mean_0_and_variance_1_and_no_rows() {
        let all: Vec<f32> = (0..256 * 256).map(|i| noise(i % 256, i / 256)).collect();
        let mean = all.iter().sum::<f32>() / all.len() as f32;
        let variance = all.iter().map(|v| v * v).sum::<f32>() / all.len() as f32;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        for shift in [1, 256, 257] {
            let product: f32 = all.iter().zip(&all[shift..]).map(|(a, b)| a * b).sum();
            assert!((product / all.len() as f32).abs() < 0.02, "{shift}");
        }
    }

    #[test]
    fn only_what_is_missing_is_added() {
        assert_eq!(missing(5.0, 3.0), 4.0);
        assert_eq!(missing(3.0, 5.0), 0.0);
        assert_eq!(missing(90.0, 0.0), MOST);
    }
}
