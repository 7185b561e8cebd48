//! `grain_histogram`: how often each absolute value of Immerkær's operator occurs in two pictures,
//! where a mask is above a half.

use crate::pixels::{BINS, luminance};

/// Counts over the inner pixels of `picture`, rows of `width`, where `soft` is above a half.
pub fn run(picture: &[[u8; 3]], width: usize, soft: &[f32]) -> Vec<u32> {
    let mut counts = vec![0; BINS];
    let height = picture.len().checked_div(width).unwrap_or(0);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let i = y * width + x;
            if soft[i] > 0.5 {
                counts[operator(picture, width, i).unsigned_abs() as usize] += 1;
            }
        }
    }
    counts
}

/// Immerkær's operator at pixel `i` of `picture`, rows of `width`, not at its edge: the difference of two
/// Laplacians, in levels of luminance.
#[inline]
pub fn operator(picture: &[[u8; 3]], width: usize, i: usize) -> i32 {
    let at = |i: usize| i32::from(luminance(picture[i]));
    let row = |i: usize| at(i - 1) - 2 * at(i) + at(i + 1);
    row(i - width) - 2 * row(i) + row(i + width)
}
