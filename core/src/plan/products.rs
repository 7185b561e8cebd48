//! Convolutions of every kind as products of matrices: which pixels, channels and taps each one
//! multiplies.

use super::{Layout, Step, Upsample, View, Weight};
use crate::error::Result;
use crate::graph::ops::MultiPathConv;
use crate::graph::{Conv2d, Graph, Op, ParamId};
use crate::tensor::Shape;

/// One product: output channels times pixels, summed over input channels and taps. A convolution is
/// one, a transposed one one per phase, an MMRB stage one per path.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Product {
    /// `[O, I, kh, kw]`
    pub weight: ParamId,
    /// Resize of the input in the loads.
    pub upsample: Upsample,
    /// Factors of the input's channels.
    pub style: Option<View>,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
    /// First input channel.
    pub first_input: usize,
    /// Input channels of a group.
    pub group_inputs: usize,
    /// First output channel.
    pub first_output: usize,
    /// Output channels of a group.
    pub group_outputs: usize,
    /// Rows and columns of the pixels that are computed.
    pub size: [usize; 2],
    /// Pictures.
    pub batch: usize,
    /// Rows or columns of the input from one of these pixels to the next.
    pub stride: usize,
    /// From one tap to the next.
    pub step: i32,
    /// Row and column of the input that the first tap reads for the first pixel.
    pub corner: [i32; 2],
    /// Taps of the weight.
    pub taps: usize,
    /// The first that is used.
    pub first_tap: usize,
    /// Rows and columns of taps that are used.
    pub used_taps: [usize; 2],
    /// From one of them to the next.
    pub tap_steps: [usize; 2],
    /// Rows or columns of the output from one pixel to the next.
    pub phases: usize,
    /// Row and column of the output where the first pixel goes.
    pub phase: [usize; 2],
}

impl Product {
    /// Its weight as `conv_gemm` reads it.
    pub const fn panels(&self) -> Weight {
        Weight { param: self.weight, layout: Layout::Panels { groups: self.groups } }
    }

    /// Its weight as cooperative matrices are loaded.
    pub const fn slabs(&self) -> Weight {
        Weight { param: self.weight, layout: Layout::Slabs { groups: self.groups } }
    }

    /// The product of `conv` that yields `y`, with a weight of `[O, I, kh, kw]`; without a style.
    pub(super) fn of(
        conv: &Conv2d,
        [o, i, kh, kw]: [usize; 4],
        upsample: Upsample,
        y: Shape,
    ) -> Self {
        Self {
            weight: conv.weight,
            upsample,
            style: None,
            groups: conv.groups,
            first_input: 0,
            group_inputs: i,
            first_output: 0,
            group_outputs: o / conv.groups,
            size: [y.h, y.w],
            batch: y.n,
            stride: conv.stride,
            step: conv.dilation as i32,
            corner: [-conv.padding.top, -conv.padding.left],
            taps: kh * kw,
            first_tap: 0,
            used_taps: [kh, kw],
            tap_steps: [kw, 1],
            phases: 1,
            phase: [0, 0],
        }
    }

    /// Pixels of a picture.
    pub const fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

/// Whether one launch can compute all of these: paths of an MMRB stage that differ by nothing but their
/// weights, the distance of their taps, and the channels that they read and write.
pub fn are_alike(products: &[Product]) -> bool {
    let Some((first, others)) = products.split_first() else { return false };
    let alike = |path: &Product| {
        let Product { weight, first_input, first_output, step, corner, .. } = *first;
        path.corner[0] == path.corner[1]
            && Product { weight, first_input, first_output, step, corner, ..*path } == *first
    };
    !others.is_empty() && first.phases == 1 && products.iter().all(alike)
}

/// The products that compute `step`, in order.
///
/// # Errors
/// [`Error::Internal`](crate::Error::Internal) when the step is not a convolution of any kind.
pub fn products(step: &Step, graph: &Graph) -> Result<Vec<Product>> {
    match &step.op {
        Op::ModulatedConvTranspose2d(_) => transposed(step, graph),
        Op::MultiPathConv(op) => paths(op, step, graph),
        _ => Ok(vec![convolution(step, graph)?]),
    }
}

fn dims(weight: ParamId, step: &Step, graph: &Graph) -> Result<[usize; 4]> {
    match graph.param(weight).dims[..] {
        [o, i, kh, kw] => Ok([o, i, kh, kw]),
        _ => Err(step.misfit("its weight is not [O, I, kh, kw]")),
    }
}

fn convolution(step: &Step, graph: &Graph) -> Result<Product> {
    let convolution = step.convolution()?;
    let dims = dims(convolution.conv.weight, step, graph)?;
    let product = Product::of(&convolution.conv, dims, step.upsample, step.output.shape);
    Ok(Product { style: convolution.style, ..product })
}

/// One per path of an MMRB stage.
fn paths(op: &MultiPathConv, step: &Step, graph: &Graph) -> Result<Vec<Product>> {
    let y = step.output.shape;
    let mut first_output = 0;
    let mut products = Vec::new();
    for path in &op.0 {
        let [o, i, kh, kw] = dims(path.weight, step, graph)?;
        let halo = -((kh / 2 * path.dilation) as i32);
        products.push(Product {
            weight: path.weight,
            upsample: Upsample::None,
            style: None,
            groups: path.groups,
            first_input: path.first_channel,
            group_inputs: i,
            first_output,
            group_outputs: o / path.groups,
            size: [y.h, y.w],
            batch: y.n,
            stride: 1,
            step: path.dilation as i32,
            corner: [halo, halo],
            taps: kh * kw,
            first_tap: 0,
            used_taps: [kh, kw],
            tap_steps: [kw, 1],
            phases: 1,
            phase: [0, 0],
        });
        first_output += o;
    }
    Ok(products)
}

/// One per phase of a transposed convolution: the outputs whose rows and columns leave the same
/// remainders by the stride are an ordinary convolution with every stride-th tap.
fn transposed(step: &Step, graph: &Graph) -> Result<Vec<Product>> {
    let convolution = step.convolution()?;
    let conv = convolution.conv;
    let [o, i, kh, kw] = dims(conv.weight, step, graph)?;
    let (y, stride) = (step.output.shape, conv.stride);
    let mut products = Vec::new();
    for row in 0..stride.min(y.h) {
        for column in 0..stride.min(y.w) {
            // y[s·r + a] sums x[r + (a + p - u)/s] · W[u] over the u that leave no remainder.
            let [(tap_row, rows, top), (tap_column, columns, left)] =
                [(row, conv.padding.top, kh), (column, conv.padding.left, kw)].map(
                    |(phase, padding, taps)| {
                        let position = phase + padding as usize;
                        let first = position % stride;
                        let used = taps.saturating_sub(first).div_ceil(stride);
                        (first, used, (position / stride) as i32)
                    },
                );
            products.push(Product {
                weight: conv.weight,
                upsample: Upsample::None,
                style: convolution.style,
                groups: 1,
                first_input: 0,
                group_inputs: i,
                first_output: 0,
                group_outputs: o,
                size: [(y.h - row).div_ceil(stride), (y.w - column).div_ceil(stride)],
                batch: y.n,
                stride: 1,
                step: -1,
                corner: [top, left],
                taps: kh * kw,
                first_tap: tap_row * kw + tap_column,
                used_taps: [rows, columns],
                tap_steps: [stride * kw, stride],
                phases: stride,
                phase: [row, column],
            });
        }
    }
    Ok(products)
}
