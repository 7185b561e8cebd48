//! `grain_histogram`: how often each absolute value of Immerkær's operator occurs in two pictures,
//! where a mask is above a half.

use crate::pixels::{BINS, luminance};

/// Counts over the inner pixels of `picture`, rows of `width`, where `soft` is above a half.
pub fn run(picture: &[[u8; 3]], width: usize, soft: &[f32]) -> Vec<u32> {
    let mut counts = vec![0; BINS];
    let height = picture.len().checked_div(width).unwrap_or(0);
    let at = |i: usize| i32::from(luminance(picture[i]));
    let row = |i: usize| at(i - 1) - 2 * at(i) + at(i + 1);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let i = y * width + x;
            if soft[i] > 0.5 {
                let value = row(i - width) - 2 * row(i) + row(i + width);
                counts[value.unsigned_abs() as usize] += 1;
            }
        }
    }
    counts
}
