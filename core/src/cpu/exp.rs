//! The exponential of the activations and of softmax: branch-free, so that loops over it vectorise.

/// The bits of 1.5 · 2²³ + n end in n, for whole numbers |n| < 2²².
const SHIFT: f32 = 12_582_912.0;

/// ln 2 = HIGH + LOW; HIGH has 9 bits, so that n · HIGH is exact.
const HIGH: f32 = 0.693_359_4;
const LOW: f32 = -2.121_944_4e-4;

/// Taylor's coefficients 1/k! for k = 7 … 2: |r| ≤ ½ ln 2 leaves 6e-9.
const TAYLOR: [f32; 6] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];

/// `e^v` to a relative error of 2e-7 for -87 ≤ v ≤ 88, and beyond what it is there; NaN for NaN.
///
/// `e^v = 2^n · e^r` with `n` the whole number next to `v / ln 2`.
#[inline(always)]
pub fn exp(v: f32) -> f32 {
    let v = v.clamp(-87.0, 88.0);
    let shifted = v * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = v - n * HIGH - n * LOW;
    let tail = TAYLOR.iter().fold(0.0, |sum, coefficient| sum * r + coefficient);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    (tail * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn is_as_precise_as_it_says() {
        for i in -87_000..=88_000 {
            let v = i as f32 / 1000.0;
            let expected = f64::from(v).exp();
            let error = (f64::from(exp(v)) - expected).abs() / expected;
            assert!(error < 2e-7, "{v}: {error:e}");
        }
        assert_eq!(exp(-1e30), exp(-87.0));
        assert_eq!(exp(f32::INFINITY), exp(88.0));
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
