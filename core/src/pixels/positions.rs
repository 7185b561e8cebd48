//! Where the pixels of a warped picture come from.

/// Fractions of a pixel that positions are rounded to.
pub const STEPS: i64 = 32;
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
