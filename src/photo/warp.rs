//! Affine warps: `out(x, y) = in(M⁻¹·(x, y))`, bilinear.
//!
//! Positions are rounded to 1/32 pixel as OpenCV 4's `warpAffine` does, so that crops and pasted
//! faces are those of the reference pipelines, bit for bit.

use rayon::prelude::*;

use super::align::Affine;

/// Fractions of a pixel that positions are rounded to.
const STEPS: i64 = 32;
/// Positions are summed in units of 1/1024 pixel.
const FINE: f64 = 1024.0;

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

/// A rectangle of pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// The part `area` of the picture that `affine` makes of `source`; `border` is what lies around it.
pub fn warp<T: Sample, const C: usize>(
    source: View<'_, T, C>,
    affine: &Affine,
    area: Area,
    border: [T; C],
) -> Vec<[T; C]> {
    let [[a, b, c], [d, e, f]] = affine.inverse().0;
    let fine = |v: f64| v.round_ties_even() as i64;
    let pixel = |x: i64, y: i64| -> [T; C] {
        let inside = |v: i64, end: usize| usize::try_from(v).ok().filter(|&v| v < end);
        match (inside(x, source.width), inside(y, source.height)) {
            (Some(x), Some(y)) => source.pixels[y * source.width + x],
            _ => border,
        }
    };
    let mut out = vec![border; area.height * area.width];
    out.par_chunks_exact_mut(area.width.max(1)).enumerate().for_each(|(row, line)| {
        let y = (area.top + row) as f64;
        // Half of a step is added before the low bits are dropped.
        let start = [b * y + c, e * y + f].map(|v| fine(v * FINE) + 16);
        for (column, out) in line.iter_mut().enumerate() {
            let x = (area.left + column) as f64;
            let [x, y] =
                [start[0] + fine(a * x * FINE), start[1] + fine(d * x * FINE)].map(|v| v >> 5);
            let ([fx, fy], [x, y]) = ([x & (STEPS - 1), y & (STEPS - 1)], [x >> 5, y >> 5]);
            let corners = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
            *out = std::array::from_fn(|i| T::mix(corners.map(|corner| corner[i]), fx, fy));
        }
    });
    out
}

/// The smallest area of a `height × width` picture that holds everything that `affine` makes of a
/// square of side `size`, with a border of `margin` pixels; `None` where they do not meet.
pub fn reach(
    affine: &Affine,
    size: usize,
    height: usize,
    width: usize,
    margin: usize,
) -> Option<Area> {
    let (low, high) = (-1.0, size as f64);
    let corners = [[low, low], [high, low], [low, high], [high, high]].map(|p| affine.apply(p));
    let range = |axis: usize, end: usize| {
        let values = corners.map(|corner| corner[axis]);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min) - margin as f64;
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + margin as f64;
        // Casts saturate.
        let (start, stop) = (least.floor().max(0.0) as usize, (most.ceil().max(0.0) as usize) + 1);
        (start < end.min(stop)).then(|| (start, end.min(stop)))
    };
    let ((left, right), (top, bottom)) = (range(0, width)?, range(1, height)?);
    Some(Area { top, left, height: bottom - top, width: right - left })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Area = Area { top: 0, left: 0, height: 3, width: 4 };

    fn ramp() -> Vec<[u8; 1]> {
        (0..12).map(|i| [i * 10]).collect()
    }

    #[test]
    fn the_identity_changes_nothing() {
        let pixels = ramp();
        let identity = Affine([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        let source = View { pixels: &pixels, height: 3, width: 4 };
        assert_eq!(warp(source, &identity, ALL, [7]), pixels);
    }

    #[test]
    fn half_a_pixel_averages_and_meets_the_border() {
        let pixels = ramp();
        let shift = Affine([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]);
        let source = View { pixels: &pixels, height: 3, width: 4 };
        let out = warp(source, &shift, ALL, [100]);
        assert_eq!(out[..4], [[50], [5], [15], [25]]);
        let floats: Vec<[f32; 1]> = pixels.iter().map(|p| p.map(f32::from)).collect();
        let source = View { pixels: &floats, height: 3, width: 4 };
        assert_eq!(warp(source, &shift, ALL, [100.0])[..4], [[50.0], [5.0], [15.0], [25.0]]);
    }

    #[test]
    fn a_part_is_a_part_of_the_whole() {
        let pixels = ramp();
        let turn = Affine([[0.8, -0.3, 0.7], [0.3, 0.8, -0.2]]);
        let source = View { pixels: &pixels, height: 3, width: 4 };
        let whole = warp(source, &turn, ALL, [9]);
        let part = warp(source, &turn, Area { top: 1, left: 2, height: 2, width: 2 }, [9]);
        assert_eq!(part, [whole[6], whole[7], whole[10], whole[11]]);
    }

    #[test]
    fn the_reach_holds_every_pixel_that_is_touched() {
        let ones = vec![[1.0_f32]; 25];
        let source = View { pixels: &ones, height: 5, width: 5 };
        let (height, width) = (40, 50);
        let whole = Area { top: 0, left: 0, height, width };
        for affine in [
            Affine([[2.0, -1.0, 12.0], [1.0, 2.0, 8.0]]),
            Affine([[4.0, 0.0, -9.0], [0.0, 4.0, 30.0]]),
        ] {
            let area = reach(&affine, 5, height, width, 0).unwrap();
            let inside = |i: usize| {
                let (y, x) = (i / width, i % width);
                (area.top..area.top + area.height).contains(&y)
                    && (area.left..area.left + area.width).contains(&x)
            };
            let out = warp(source, &affine, whole, [0.0]);
            assert!(out.iter().enumerate().all(|(i, v)| v[0] == 0.0 || inside(i)), "{area:?}");
        }
        assert_eq!(reach(&Affine([[1.0, 0.0, 900.0], [0.0, 1.0, 0.0]]), 5, height, width, 0), None);
    }
}
