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
