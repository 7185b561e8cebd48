//! `conv_direct`: any convolution, straight from its formula. The twin of all convolutions.
//!
//! Sums in f64, so that what a comparison shows is the other's error.

use super::epilogue::Epilogue;
use super::tensor::{Tensor, TensorMut};
use super::upsample;
use crate::graph::Conv2d;
use crate::plan::Upsample;

/// A convolution and its weight as in the checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Direct<'a> {
    /// Geometry.
    pub conv: Conv2d,
    /// `[O, I/groups, kh, kw]`
    pub dims: [usize; 4],
    /// Values of these dimensions.
    pub weight: &'a [f32],
    /// Resize of the input.
    pub upsample: Upsample,
    /// Channels of the input before those that it sees.
    pub first_channel: usize,
}

impl Direct<'_> {
    /// `y[n,o,h,w] = Σ_{i,u,v} W[o,i,u,v] · style[n,j] · upsample(x)[n, j, s·h+u·d-p, s·w+v·d-p]`
    /// with `j = g(o)·I/groups + i`.
    pub fn run(
        &self,
        x: &Tensor,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        output: &mut TensorMut,
    ) {
        let width = output.shape.w;
        output.fill_planes(|n, o, plane| {
            self.plane(x, style, [n, o], width, plane);
            epilogue.apply(n, o, 0, plane);
        });
    }

    /// Channel `o` of sample `n`, `width` columns.
    pub fn plane(
        &self,
        x: &Tensor,
        style: Option<&Tensor>,
        [n, o]: [usize; 2],
        width: usize,
        plane: &mut [f32],
    ) {
        let Conv2d { stride, dilation, padding, groups, .. } = self.conv;
        let [outputs, depth, kh, kw] = self.dims;
        let first = self.first_channel + o / (outputs / groups) * depth;
        for (p, y) in plane.iter_mut().enumerate() {
            let row = (p / width * stride) as isize - padding.top as isize;
            let column = (p % width * stride) as isize - padding.left as isize;
            let mut sum = 0.0f64;
            for i in 0..depth {
                let gain = style.map_or(1.0, |style| style.samples[n][first + i]);
                for u in 0..kh {
                    for v in 0..kw {
                        let (h, w) =
                            (row + (u * dilation) as isize, column + (v * dilation) as isize);
                        let value = gain * upsample::at(x, self.upsample, [n, first + i], h, w);
                        sum += f64::from(self.weight[((o * depth + i) * kh + u) * kw + v] * value);
                    }
                }
            }
            *y = sum as f32;
        }
    }
}
