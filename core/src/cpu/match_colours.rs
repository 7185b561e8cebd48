//! Twin of `kernels/match_colours.wgsl`.

use rayon::prelude::*;

/// `restored` with the difference of `original` and itself added, blurred by `weights` along rows,
/// then along columns. Both are `size × size` pixels; the number of weights is odd.
pub fn run(
    original: &[[u8; 3]],
    restored: &[[u8; 3]],
    size: usize,
    weights: &[f32],
) -> Vec<[u8; 3]> {
    let radius = (weights.len() / 2) as isize;
    let sum = |at: usize, value: &dyn Fn(usize) -> [f32; 3]| {
        let mut sum = [0.0_f32; 3];
        for (&weight, offset) in weights.iter().zip(-radius..) {
            let value = value(mirrored(at as isize + offset, size));
            sum = std::array::from_fn(|c| sum[c] + weight * value[c]);
        }
        sum
    };
    let difference =
        |i: usize| std::array::from_fn(|c| f32::from(original[i][c]) - f32::from(restored[i][c]));
    let row = |i: usize| sum(i % size, &|x| difference(i / size * size + x));
    let rows: Vec<[f32; 3]> = (0..size * size).into_par_iter().map(row).collect();
    let pixel = |i: usize| {
        let shift = sum(i / size, &|y| rows[y * size + i % size]);
        std::array::from_fn(|c| (f32::from(restored[i][c]) + shift[c]).round() as u8)
    };
    (0..size * size).into_par_iter().map(pixel).collect()
}

/// `at`, on an axis of `end` pixels that goes on mirrored at its outermost ones.
pub fn mirrored(at: isize, end: usize) -> usize {
    let period = 2 * (end as isize - 1);
    if period == 0 {
        return 0;
    }
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}
