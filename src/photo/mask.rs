//! How much of a restored face goes into the photo, per pixel: three soft masks.

use rayon::prelude::*;

use super::align::{Affine, Frame, Landmarks};
use super::warp::{Area, View, warp};
use crate::cpu::match_colours::mirrored;

/// The side of the parser's pictures, in which the widths below are meant.
const PARSER_SIZE: usize = 512;

/// GFPGAN's mask from a parser's result, `[512, 512]`, in the frame of the aligned face, 0 to 1:
/// where it saw the face, blurred twice, without a frame of 10 pixels.
pub fn parsed(face: &[bool]) -> Vec<f64> {
    let mut mask: Vec<f64> = face.iter().map(|&face| if face { 255.0 } else { 0.0 }).collect();
    let kernel = gaussian(101, 11.0);
    for _ in 0..2 {
        mask = blurred(&mask, PARSER_SIZE, PARSER_SIZE, &kernel);
    }
    let framed = 10..PARSER_SIZE - 10;
    for (i, value) in mask.iter_mut().enumerate() {
        let inside = framed.contains(&(i / PARSER_SIZE)) && framed.contains(&(i % PARSER_SIZE));
        *value = if inside { *value / 255.0 } else { 0.0 };
    }
    mask
}

/// facexlib's mask without a parser, in the frame of the photo.
pub struct Square {
    /// Where the face lies after the first erosion; the pasted face is multiplied by it.
    pub inside: Vec<f32>,
    /// The soft mask.
    pub soft: Vec<f32>,
}

/// The square of a face of `size` pixels in the `area` of a photo that is enlarged `factor` times,
/// eroded and blurred by a twentieth of its side.
pub fn square(to_photo: &Affine, size: usize, area: Area, factor: usize) -> Square {
    let ones = vec![[1.0_f32]; size * size];
    let source = View { pixels: &ones, height: size, width: size };
    let (height, width) = (area.height, area.width);
    let warped = warp(source, to_photo, area, [0.0]).into_iter().map(|[v]| v).collect::<Vec<_>>();
    let inside = eroded(&warped, height, width, 2 * factor);
    let total: f64 = inside.iter().map(|&v| f64::from(v)).sum();
    let edge = (total.sqrt() as usize) / 20;
    let radius = edge * 2;
    let centre = eroded(&inside, height, width, radius.max(1));
    let kernel: Vec<f32> = fitted(radius + 1).into_iter().map(|weight| weight as f32).collect();
    let soft = blurred(&centre, height, width, &kernel);
    Square { inside, soft }
}

/// facexlib's mask without a parser in the frame of the aligned face, `[512, 512]`, 0 to 1: the same
/// widths as [`square`], which a tilted face turns with it.
pub fn tilted_square() -> Vec<f64> {
    let edge = PARSER_SIZE / 20;
    let inside = edge..PARSER_SIZE - edge;
    let line: Vec<f64> =
        (0..PARSER_SIZE).map(|i| if inside.contains(&i) { 1.0 } else { 0.0 }).collect();
    let soft = blurred(&line, 1, PARSER_SIZE, &fitted(2 * edge + 1));
    soft.iter().flat_map(|row| soft.iter().map(move |column| row * column)).collect()
}

/// Our mask without a parser, a soft ellipse over the face that `landmarks` show, at the pixel
/// `[x, y]` of their frame: 1 inside, 0 outside.
///
/// The ellipse hangs on the line from between the eyes to the mouth. On the template it reaches
/// from above the brows to the chin and from ear to ear; where the face is turned, it moves away
/// from the nose, to where more of the face is seen.
#[derive(Clone, Copy, Debug)]
pub struct Oval {
    centre: [f64; 2],
    /// Unit vector from the eyes to the mouth.
    down: [f64; 2],
    /// Half axes along and across [`Self::down`], in pixels.
    half: [f64; 2],
}

/// From which part of the half axes on the mask falls.
const OVAL_CORE: f64 = 0.72;

impl Oval {
    /// The ellipse of a face with these landmarks.
    pub fn of(landmarks: &Landmarks) -> Self {
        let [[lx, ly], [rx, ry], ..] = *landmarks;
        let (frame, eye_distance) = (Frame::of(landmarks), (rx - lx).hypot(ry - ly));
        let length = frame.length.max(1.0);
        // On the template: 131 from eyes to mouth, 126 between the eyes; the face fills about
        // 400×330 of the 512 pixels.
        let half = [1.55 * length, (1.3 * eye_distance).max(1.2 * length)];
        Self { centre: frame.head(), down: frame.down, half }
    }

    /// The mask at a point.
    pub fn at(&self, [x, y]: [f64; 2]) -> f64 {
        let [x, y] = [x - self.centre[0], y - self.centre[1]];
        let [dx, dy] = self.down;
        let along = (x * dx + y * dy) / self.half[0];
        let across = (x * dy - y * dx) / self.half[1];
        let t = ((1.0 - along.hypot(across)) / (1.0 - OVAL_CORE)).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }
}

/// A number that masks are made of.
pub trait Real:
    Copy + Send + Sync + PartialOrd + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self>
{
    /// The neutral element of sums.
    const ZERO: Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
}

/// The weights of a Gaussian of standard deviation `deviation`, cut off at `size` (odd) taps.
pub fn gaussian(size: usize, deviation: f64) -> Vec<f64> {
    let centre = (size / 2) as f64;
    let weight = |i: usize| (-(i as f64 - centre).powi(2) / (2.0 * deviation * deviation)).exp();
    let sum: f64 = (0..size).map(weight).sum();
    (0..size).map(|i| weight(i) / sum).collect()
}

/// OpenCV's Gaussian of `size` (odd) taps when no standard deviation is given: a table for the
/// short ones, a rule for the others.
fn fitted(size: usize) -> Vec<f64> {
    match size {
        1 => vec![1.0],
        3 => vec![0.25, 0.5, 0.25],
        5 => vec![0.0625, 0.25, 0.375, 0.25, 0.0625],
        7 => vec![0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125],
        _ => gaussian(size, 0.3 * ((size as f64 - 1.0) / 2.0 - 1.0) + 0.8),
    }
}

/// `values`, `[height, width]`, convolved with `kernel` along both axes; what lies outside is the
/// inside mirrored at the outermost pixel.
pub fn blurred<T: Real>(values: &[T], height: usize, width: usize, kernel: &[T]) -> Vec<T> {
    let radius = (kernel.len() / 2) as isize;
    let along = |get: &(dyn Fn(usize) -> T + Sync), at: usize, end: usize| {
        let mut sum = T::ZERO;
        for (&weight, offset) in kernel.iter().zip(-radius..) {
            sum = sum + weight * get(mirrored(at as isize + offset, end));
        }
        sum
    };
    let mut rows = vec![T::ZERO; values.len()];
    rows.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        let line = &values[y * width..][..width];
        for (x, out) in row.iter_mut().enumerate() {
            *out = along(&|x| line[x], x, width);
        }
    });
    let mut out = vec![T::ZERO; values.len()];
    out.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(y, row)| {
        for (x, out) in row.iter_mut().enumerate() {
            *out = along(&|y| rows[y * width + x], y, height);
        }
    });
    out
}

/// The least value of the square of `size` pixels around each; nothing lies outside. An even square
/// reaches one pixel further up and left.
fn eroded(values: &[f32], height: usize, width: usize, size: usize) -> Vec<f32> {
    let (before, after) = (size / 2, size - 1 - size / 2);
    let least = |line: &dyn Fn(usize) -> f32, at: usize, end: usize| {
        let range = at.saturating_sub(before)..(at + after + 1).min(end);
        range.map(line).fold(f32::INFINITY, f32::min)
    };
    let mut rows = vec![0.0; values.len()];
    for (i, out) in rows.iter_mut().enumerate() {
        let line = &values[i / width * width..][..width];
        *out = least(&|x| line[x], i % width, width);
    }
    (0..values.len()).map(|i| least(&|y| rows[y * width + i % width], i / width, height)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::align::TEMPLATE;
    use super::*;

    #[test]
    fn a_blur_keeps_the_sum_of_what_is_far_from_the_edges() {
        let mut values = vec![0.0_f64; 21 * 31];
        values[10 * 31 + 15] = 1.0;
        let out = blurred(&values, 21, 31, &gaussian(7, 1.5));
        assert!((out.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(out[10 * 31 + 15] > out[10 * 31 + 14] && out[10 * 31 + 14] == out[10 * 31 + 16]);
    }

    #[test]
    fn a_blur_mirrors_at_the_edge() {
        assert_eq!([-2, -1, 0, 3, 4, 5].map(|i| mirrored(i, 4)), [2, 1, 0, 3, 2, 1]);
        assert_eq!(mirrored(-7, 1), 0);
        let out = blurred(&[0.0_f64, 1.0, 0.0], 1, 3, &[0.25, 0.5, 0.25]);
        assert_eq!(out, [0.5, 0.5, 0.5]);
    }

    #[test]
    fn an_even_square_erodes_from_above_and_left() {
        let mut values = vec![1.0_f32; 25];
        values[12] = 0.0;
        let zeros: Vec<usize> = eroded(&values, 5, 5, 2)
            .iter()
            .enumerate()
            .filter(|(_, v)| **v == 0.0)
            .map(|p| p.0)
            .collect();
        assert_eq!(zeros, [12, 13, 17, 18]);
    }

    #[test]
    fn the_square_ends_before_the_crop_does() {
        let mask = tilted_square();
        let at = |y: usize, x: usize| mask[y * PARSER_SIZE + x];
        assert!((at(256, 256) - 1.0).abs() < 1e-12 && (at(60, 450) - 1.0).abs() < 1e-9);
        assert!(at(256, 0) < 1e-3 && at(511, 256) < 1e-3);
        assert!((at(256, 25) - 0.5).abs() < 0.05 && at(256, 25) == at(25, 256));
    }

    #[test]
    fn the_oval_covers_the_face_and_not_the_corners() {
        let oval = Oval::of(&TEMPLATE);
        for point in TEMPLATE {
            assert_eq!(oval.at(point), 1.0, "{point:?}");
        }
        for corner in [[0.0, 0.0], [511.0, 0.0], [0.0, 511.0], [511.0, 511.0], [256.0, 0.0]] {
            assert_eq!(oval.at(corner), 0.0, "{corner:?}");
        }
        // A face that looks to the right shows its left side.
        let mut turned = TEMPLATE;
        turned[2][0] += 60.0;
        assert!(Oval::of(&turned).centre[0] < oval.centre[0] - 20.0);
    }
}
