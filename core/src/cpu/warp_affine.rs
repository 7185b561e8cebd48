//! `warp_affine`: a picture, sampled bilinearly at positions along an affine map.

use rayon::prelude::*;

use crate::pixels::positions::STEPS;
use crate::pixels::{Positions, Sample, View};

/// `out[row, column] = bilinear(source, columns[column] + rows[row])`; `border` is what lies around
/// the source.
pub fn run<T: Sample, const C: usize>(
    source: View<'_, T, C>,
    positions: &Positions,
    border: [T; C],
) -> Vec<[T; C]> {
    let pixel = |x: i64, y: i64| -> [T; C] {
        let inside = |v: i64, end: usize| usize::try_from(v).ok().filter(|&v| v < end);
        match (inside(x, source.width), inside(y, source.height)) {
            (Some(x), Some(y)) => source.pixels[y * source.width + x],
            _ => border,
        }
    };
    let width = positions.columns.len();
    let mut out = vec![border; positions.rows.len() * width];
    let lines = out.par_chunks_exact_mut(width.max(1)).zip(&positions.rows);
    lines.for_each(|(line, row)| {
        for (out, column) in line.iter_mut().zip(&positions.columns) {
            let [x, y] = [0, 1].map(|i| (i64::from(column[i]) + i64::from(row[i])) >> 5);
            let ([fx, fy], [x, y]) = ([x & (STEPS - 1), y & (STEPS - 1)], [x >> 5, y >> 5]);
            let corners = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
            *out = std::array::from_fn(|i| T::mix(corners.map(|corner| corner[i]), fx, fy));
        }
    });
    out
}

/// The mean of every square of `factor²` samples of `fine`, rows of `factor · width`.
pub fn means(fine: &[[u8; 3]], width: usize, factor: usize) -> Vec<[u8; 3]> {
    let area = (factor * factor) as u32;
    let height = fine.len() / (width * factor * factor).max(1);
    (0..height * width)
        .map(|i| {
            let (top, left) = (i / width * factor, i % width * factor);
            let mut sum = [area / 2; 3];
            for y in top..top + factor {
                for pixel in &fine[y * width * factor + left..][..factor] {
                    sum = std::array::from_fn(|c| sum[c] + u32::from(pixel[c]));
                }
            }
            sum.map(|v| (v / area) as u8)
        })
        .collect()
}
