//! Transposed convolutions as a plain convolution and a pixel shuffle, which every executor has a
//! fast kernel for.
//!
//! With stride `s` and padding `p`, row `r = s·b + e` of the result is
//! `Σ_d x[b + d] · W[e + p - s·d]` over the `d` whose tap exists: for each of the `s` phases `e` a
//! convolution of the rows `b`. The phases become channels, the shuffle puts them side by side.

use super::{Builder, border};
use crate::graph::{Conv2d, NodeId, Padding, ops};
use crate::{Error, Result};

/// Geometry of PyTorch's `ConvTranspose2d`, without output padding and dilation.
#[derive(Clone, Copy, Debug)]
pub struct Transposed {
    /// Side of the kernel, at least the stride.
    pub kernel: usize,
    /// Output pixels per input pixel.
    pub stride: usize,
    /// Rows and columns that are cut off each side.
    pub padding: usize,
    /// Whether there is a `.bias`.
    pub bias: bool,
}

impl Transposed {
    /// The taps `d` of a phase's convolution, first and last.
    fn taps(&self) -> [i64; 2] {
        let [k, s, p] = [self.kernel, self.stride, self.padding].map(|n| n as i64);
        [-(k - 1 - p).div_euclid(s), (s - 1 + p).div_euclid(s)]
    }

    /// The weight `[O·s², I, K, K]` of the phases' convolution from `weight`, `[I, O, k, k]`.
    fn phases(&self, weight: &[f32], inputs: usize, outputs: usize) -> (Vec<f32>, usize) {
        let [first, last] = self.taps();
        let [k, s, p] = [self.kernel, self.stride, self.padding].map(|n| n as i64);
        let side = (last - first + 1) as usize;
        let mut values = Vec::with_capacity(outputs * (s * s) as usize * inputs * side * side);
        let tap = |phase: i64, d: usize| {
            let tap = phase + p - s * (first + d as i64);
            (0..k).contains(&tap).then_some(tap as usize)
        };
        for o in 0..outputs {
            for phase in 0..s * s {
                for i in 0..inputs {
                    for at in 0..side * side {
                        let row = tap(phase / s, at / side);
                        let column = tap(phase % s, at % side);
                        let place = row.zip(column).map(|(row, column)| {
                            ((i * outputs + o) * self.kernel + row) * self.kernel + column
                        });
                        values.push(place.map_or(0.0, |place| weight[place]));
                    }
                }
            }
        }
        (values, side)
    }
}

/// The transposed convolution with `{prefix}.weight` `[I, O, k, k]` and `{prefix}.bias` `[O]`.
///
/// # Errors
/// When a tensor is missing or misshapen, or nothing would be left of `x`.
pub fn conv_transpose(
    b: &mut Builder,
    x: NodeId,
    prefix: &str,
    spec: Transposed,
) -> Result<NodeId> {
    let name = format!("{prefix}.weight");
    let outputs = match b.checkpoint().dims(&name) {
        Some(&[_, outputs, _, _]) => outputs,
        _ => 1, // The check below says what is wrong.
    };
    let shape = b.shape(x);
    let dims = [shape.c, outputs, spec.kernel, spec.kernel];
    let weight = b.weight_values(x, &name, &dims)?;
    let (values, side) = spec.phases(&weight, shape.c, outputs);
    let phases = spec.stride * spec.stride;
    let weight = b.computed(&name, vec![outputs * phases, shape.c, side, side], &values);
    let [first, last] = spec.taps();
    let length = |n: usize| {
        let cut = 2 * spec.padding as i64;
        (n as i64 - 1) * spec.stride as i64 + spec.kernel as i64 - cut
    };
    if length(shape.h) < 1 || length(shape.w) < 1 {
        let what = format!("{prefix} cuts off all of an input of {shape}");
        return Err(Error::Input(what));
    }
    let blocks = |n: usize| (length(n) as usize).div_ceil(spec.stride) as i64;
    let after = |n: usize| (blocks(n) - 1 + last - (n as i64 - 1)) as i32;
    let padding = Padding {
        top: -first as i32,
        left: -first as i32,
        bottom: after(shape.h),
        right: after(shape.w),
    };
    let conv = Conv2d { weight, stride: 1, padding, dilation: 1, groups: 1 };
    let mut y = b.add_scoped(prefix, conv, &[x])?;
    if spec.bias {
        let name = format!("{prefix}.bias");
        let bias = b.weight_values(x, &name, &[outputs])?;
        let values: Vec<f32> = bias.iter().flat_map(|&v| vec![v; phases]).collect();
        let bias = b.computed(&name, vec![outputs * phases], &values);
        y = b.add_scoped(prefix, ops::Bias(bias), &[y])?;
    }
    let y = b.add(ops::PixelShuffle(spec.stride), &[y])?;
    border::crop_to(b, y, length(shape.h) as usize, length(shape.w) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One channel, one dimension at a time: phases against the definition.
    #[test]
    fn phases_are_the_transposed_convolution() {
        for (kernel, stride, padding) in [(4, 2, 3), (2, 2, 0), (5, 3, 2), (4, 2, 1), (3, 3, 0)] {
            let spec = Transposed { kernel, stride, padding, bias: false };
            // A separable kernel of distinct taps, looked at along its first column.
            let weight: Vec<f32> = (0..kernel * kernel).map(|i| (i / kernel + 1) as f32).collect();
            let (values, side) = spec.phases(&weight, 1, 1);
            let [first, _] = spec.taps();
            let column = (0..side).find(|c| values[..side * side][*c..].iter().any(|&v| v != 0.0));
            assert!(column.is_some(), "{spec:?}");
            let n = 6_usize;
            let length = (n - 1) * stride + kernel - 2 * padding;
            let x: Vec<f32> = (0..n).map(|i| (i * i + 1) as f32).collect();
            for r in 0..length {
                let expected: f32 = (0..n)
                    .filter_map(|i| (r + padding).checked_sub(i * stride).map(|u| (i, u)))
                    .filter(|&(_, u)| u < kernel)
                    .map(|(i, u)| x[i] * (u + 1) as f32)
                    .sum();
                let (block, phase) = (r / stride, r % stride);
                let taps = &values[phase * stride * side * side..][..side * side];
                let actual: f32 = (0..side)
                    .filter_map(|d| {
                        let at = block as i64 + first + d as i64;
                        let x = x.get(usize::try_from(at).ok()?)?;
                        // Any column that holds the row's tap.
                        let row = &taps[d * side..][..side];
                        Some(x * row.iter().copied().fold(0.0, f32::max))
                    })
                    .sum();
                assert_eq!(actual, expected, "{spec:?} row {r}");
            }
        }
    }
}
