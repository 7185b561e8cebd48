//! `warp_affine`: a picture, sampled bilinearly at positions along an affine map.

use rayon::prelude::*;

/// Fractions of a pixel that positions are rounded to.
const STEPS: i64 = 32;
/// Positions are summed in units of 1/1024 pixel.
const FINE: f64 = 1024.0;
/// What is farther away than a million pixels is outside of every picture.
const FARTHEST: f64 = (1 << 30) as f64;

/// A value that can be interpolated.
pub trait Sample: Copy + Send + Sync {
    /// The weighted mean of four values; the weights are `(32 - fy)·(32 - fx)` and so on, of 1024.
    fn mix(corners: [Self; 4], fx: i64, fy: i64) -> Self;
}

impl Sample for u8 {
    fn mix([a, b, c, d]: [u8; 4], fx: i64, fy: i64) -> u8 {
        let row = |p: u8, q: u8| i64::from(p) * (STEPS - fx) + i64::from(q) * fx;
        let sum = row(a, b) * (STEPS - fy) + row(c, d) * fy;
        ((sum + STEPS * STEPS / 2) / (STEPS * STEPS)) as u8
    }
}

impl Sample for f32 {
    fn mix([a, b, c, d]: [f32; 4], fx: i64, fy: i64) -> f32 {
        let [fx, fy] = [fx, fy].map(|f| f as f32 / STEPS as f32);
        let (gx, gy) = (1.0 - fx, 1.0 - fy);
        a * (gy * gx) + b * (gy * fx) + c * (fy * gx) + d * (fy * fx)
    }
}

impl Sample for f64 {
    fn mix([a, b, c, d]: [f64; 4], fx: i64, fy: i64) -> f64 {
        let [fx, fy] = [fx, fy].map(|f| f as f64 / STEPS as f64);
        let (gx, gy) = (1.0 - fx, 1.0 - fy);
        a * (gy * gx) + b * (gy * fx) + c * (fy * gx) + d * (fy * fx)
    }
}

/// Pixels of `C` values, row by row.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T, const C: usize> {
    /// `height · width` pixels.
    pub pixels: &'a [[T; C]],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Where the pixels of an area come from: x and y in units of 1/1024 pixel of the source, one part
/// from the column and one from the row, as OpenCV 4's `warpAffine` sums them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Positions {
    /// Of every column.
    pub columns: Vec<[i32; 2]>,
    /// Of every row, with the half step that rounding to 1/32 pixel needs.
    pub rows: Vec<[i32; 2]>,
}

impl Positions {
    /// Those of `height × width` pixels from row `top` and column `left` on, where `to_source`
    /// leads back from the result to the source.
    pub fn new(
        to_source: [[f64; 3]; 2],
        [top, left]: [usize; 2],
        [height, width]: [usize; 2],
    ) -> Self {
        let [[a, b, c], [d, e, f]] = to_source;
        // Casts saturate; a position that is no number is far outside.
        let fine = |v: f64| (v * FINE).clamp(-FARTHEST, FARTHEST - 16.0).round_ties_even() as i32;
        let column = |x: usize| [fine(a * x as f64), fine(d * x as f64)];
        let row = |y: usize| {
            let y = y as f64;
            [fine(b * y + c), fine(e * y + f)].map(|v| v + 16)
        };
        Self {
            columns: (left..left + width).map(column).collect(),
            rows: (top..top + height).map(row).collect(),
        }
    }
}

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
