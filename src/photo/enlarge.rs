//! Enlarging without a network: Lanczos with four lobes, as OpenCV 4 computes it on bytes.

use std::f64::consts::PI;

use rayon::prelude::*;

/// Taps per axis.
const TAPS: usize = 8;
/// Weights are rounded to 1/2048.
const UNIT: f64 = 2048.0;

/// What a line of outputs reads: first input (before the edges are replicated) and its weights.
struct Line {
    first: isize,
    weights: [i32; TAPS],
}

/// Where each of `to` outputs along an axis lies between `from` inputs.
fn lines(from: usize, to: usize) -> Vec<Line> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let position = ((i as f64 + 0.5) * step - 0.5) as f32;
            let floor = position.floor();
            let fraction = f64::from(position - floor);
            let weights: [f64; TAPS] =
                std::array::from_fn(|tap| lanczos(fraction + 3.0 - tap as f64));
            let sum: f64 = weights.iter().sum();
            let weights = weights.map(|w| (w / sum * UNIT).round_ties_even() as i32);
            Line { first: floor as isize - 3, weights }
        })
        .collect()
}

/// `sinc(x) · sinc(x/4)`
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x.abs() < 1e-6 { 1.0 } else { (PI * x).sin() / (PI * x) };
    sinc(x) * sinc(x / 4.0)
}

/// The picture `rgb`, `[height, width, 3]`, at `to[0] × to[1]` pixels.
pub fn enlarged(rgb: &[[u8; 3]], height: usize, width: usize, to: [usize; 2]) -> Vec<[u8; 3]> {
    if [height, width] == to {
        return rgb.to_vec();
    }
    let columns = lines(width, to[1]);
    let clamped = |at: isize, end: usize| at.clamp(0, end as isize - 1) as usize;
    let across: Vec<[i32; 3]> = rgb
        .par_chunks_exact(width)
        .flat_map_iter(|row| {
            columns.iter().map(move |line| {
                let mut sum = [0_i32; 3];
                for (&weight, x) in line.weights.iter().zip(line.first..) {
                    let pixel = row[clamped(x, width)];
                    sum = std::array::from_fn(|c| sum[c] + weight * i32::from(pixel[c]));
                }
                sum
            })
        })
        .collect();
    lines(height, to[0])
        .into_par_iter()
        .flat_map_iter(|line| {
            let across = &across;
            (0..to[1]).map(move |x| {
                let mut sum = [0_i64; 3];
                for (&weight, y) in line.weights.iter().zip(line.first..) {
                    let pixel = across[clamped(y, height) * to[1] + x];
                    sum = std::array::from_fn(|c| sum[c] + i64::from(weight) * i64::from(pixel[c]));
                }
                // Both passes scaled by 2048.
                sum.map(|v| ((v + (1 << 21)) >> 22).clamp(0, 255) as u8)
            })
        })
        .collect()
}

/// Enlarges values of any range and number of channels, without rounding.
fn enlarged_values<const C: usize>(
    values: &[[f32; C]],
    height: usize,
    width: usize,
    to: [usize; 2],
) -> Vec<[f32; C]> {
    let clamped = |at: isize, end: usize| at.clamp(0, end as isize - 1) as usize;
    let sum = |line: &Line, at: &dyn Fn(isize) -> [f32; C]| {
        let mut sum = [0.0; C];
        for (&weight, i) in line.weights.iter().zip(line.first..) {
            let value = at(i);
            sum = std::array::from_fn(|c| sum[c] + weight as f32 / UNIT as f32 * value[c]);
        }
        sum
    };
    let columns = lines(width, to[1]);
    let across: Vec<[f32; C]> = values
        .par_chunks_exact(width)
        .flat_map_iter(|row| columns.iter().map(|line| sum(line, &|x| row[clamped(x, width)])))
        .collect();
    lines(height, to[0])
        .into_par_iter()
        .flat_map_iter(|line| {
            let (across, sum) = (&across, &sum);
            (0..to[1]).map(move |x| sum(&line, &|y| across[clamped(y, height) * to[1] + x]))
        })
        .collect()
}

/// The least alpha, of 1, by which colours are divided.
const LEAST_ALPHA: f32 = 1.0 / 512.0;

/// Colours, each with its alpha from 0 to 1, at `to[0] × to[1]` pixels. Colours count by their alpha,
/// so that hidden ones leave no fringe; where nothing is visible they come from `hidden`.
pub fn enlarged_by_alpha(
    colours: &[[f32; 3]],
    alpha: &[f32],
    hidden: &[[f32; 3]],
    [height, width]: [usize; 2],
    to: [usize; 2],
) -> Vec<[f32; 3]> {
    let weighted: Vec<[f32; 4]> = (colours.iter().zip(alpha))
        .map(|(&[red, green, blue], &alpha)| [red * alpha, green * alpha, blue * alpha, alpha])
        .collect();
    let mut out: Vec<[f32; 3]> = Vec::with_capacity(to[0] * to[1]);
    let large = enlarged_values(&weighted, height, width, to);
    out.extend(large.into_iter().enumerate().map(|(i, [red, green, blue, alpha])| {
        if alpha >= LEAST_ALPHA {
            return [red / alpha, green / alpha, blue / alpha];
        }
        let [y, x] = [i / to[1] * height / to[0], i % to[1] * width / to[1]];
        hidden[y * width + x]
    }));
    out
}

/// As [`enlarged`], without rounding, for opaque colours.
pub fn enlarged_colours(
    colours: &[[f32; 3]],
    [height, width]: [usize; 2],
    to: [usize; 2],
) -> Vec<[f32; 3]> {
    enlarged_values(colours, height, width, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_up_to_rounding() {
        for line in lines(7, 31) {
            let sum: i32 = line.weights.iter().sum();
            assert!((sum - 2048).abs() <= 4, "{sum}");
        }
    }

    #[test]
    fn hidden_colours_leave_no_fringe() {
        let inside = |i: usize| (2..7).contains(&(i % 9)) && (2..7).contains(&(i / 9));
        let colours: Vec<[f32; 3]> =
            (0..81).map(|i| if inside(i) { [250.0, 220.0, 60.0] } else { [0.0; 3] }).collect();
        let alpha: Vec<f32> = (0..81).map(|i| if inside(i) { 1.0 } else { 0.0 }).collect();
        let hidden = [[250.0, 220.0, 60.0]; 81];
        let large = enlarged_by_alpha(&colours, &alpha, &hidden, [9, 9], [27, 27]);
        let far = large.iter().map(|p| (p[0] - 250.0).abs().max((p[2] - 60.0).abs()));
        assert!(far.fold(0.0, f32::max) < 1.0);
    }

    #[test]
    fn a_constant_stays_and_an_edge_overshoots() {
        let flat = vec![[90; 3]; 12];
        assert!(
            enlarged(&flat, 3, 4, [6, 8]).iter().all(|p| p.iter().all(|v| v.abs_diff(90) <= 1))
        );
        let edge: Vec<[u8; 3]> = (0..16).map(|x| [if x < 8 { 50 } else { 200 }; 3]).collect();
        let out = enlarged(&edge, 1, 16, [1, 64]);
        assert!(out.iter().any(|p| p[0] > 200) && out.iter().any(|p| p[0] < 50));
    }
}
