//! Affine warps: `out(x, y) = in(M⁻¹·(x, y))`, bilinear.
//!
//! Positions are rounded to 1/32 pixel as OpenCV 4's `warpAffine` does, so that crops and pasted
//! faces are those of the reference pipelines, bit for bit.

use super::Picture;
use super::align::Affine;
use crate::cpu::warp_affine;
pub use crate::pixels::{Positions, Sample, View};

impl Picture {
    /// The colours, for crops to read.
    pub(super) fn view(&self) -> View<'_, u8, 3> {
        View { pixels: self.rgb.as_chunks().0, height: self.height, width: self.width }
    }
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

/// Where the pixels of `area` of the picture that `affine` makes of a source come from.
pub fn positions(affine: &Affine, area: Area) -> Positions {
    Positions::new(affine.inverse().0, [area.top, area.left], [area.height, area.width])
}

/// The part `area` of the picture that `affine` makes of `source`; `border` is what lies around it.
pub fn warp<T: Sample, const C: usize>(
    source: View<'_, T, C>,
    affine: &Affine,
    area: Area,
    border: [T; C],
) -> Vec<[T; C]> {
    warp_affine::run(source, &positions(affine, area), border)
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
