//! Times that a few slow runs do not move.

use serde::{Deserialize, Serialize};

/// A median, and how far the samples lie from it.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds.
    pub median: f64,
    /// 1.4826 times the median distance from the median, in seconds: of normal noise, the standard
    /// deviation.
    pub mad: f64,
    /// The shortest, in seconds.
    pub min: f64,
    /// How many there were.
    pub samples: usize,
}

/// What makes a median absolute deviation a standard deviation, for normal noise: 1/Φ⁻¹(3/4).
const MAD_TO_DEVIATION: f64 = 1.4826;

impl Timing {
    /// Of `samples` in seconds; all zero when there are none.
    pub fn of(samples: &[f64]) -> Self {
        let median = median(samples.to_vec());
        let distances = samples.iter().map(|s| (s - median).abs()).collect();
        Self {
            median,
            mad: MAD_TO_DEVIATION * self::median(distances),
            min: samples.iter().copied().reduce(f64::min).unwrap_or(0.0),
            samples: samples.len(),
        }
    }

    /// The deviation of the median itself.
    pub fn error(&self) -> f64 {
        // √(π/2) times that of a mean.
        1.2533 * self.mad / (self.samples.max(1) as f64).sqrt()
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match (samples.get(middle), samples.len() % 2) {
        (None, _) => 0.0,
        (Some(m), 1) => *m,
        (Some(m), _) => (samples[middle - 1] + m) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_moves_nothing() {
        let calm = Timing::of(&[1.0, 1.1, 0.9, 1.05, 0.95]);
        assert!((calm.median - 1.0).abs() < 1e-12 && calm.min == 0.9 && calm.samples == 5);
        assert!((calm.mad - 0.05 * MAD_TO_DEVIATION).abs() < 1e-9);
        let disturbed = Timing::of(&[1.0, 1.1, 0.9, 1.05, 90.0]);
        assert!((disturbed.median - 1.05).abs() < 1e-12 && disturbed.mad < 0.1);
        assert_eq!(Timing::of(&[]), Timing::default());
        assert_eq!(Timing::of(&[1.0, 2.0]).median, 1.5);
    }
}
