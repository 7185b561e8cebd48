//! Transposed convolutions. They have no kernel file of their own: the outputs of one phase, those
//! whose rows and columns leave the same remainders by the stride, are an ordinary convolution
//! with every stride-th tap, which `kernels/conv_gemm.wgsl` computes.

use super::conv_gemm::Product;
use super::{input, misfit};
use crate::Result;
use crate::gpu::Dispatch;
use crate::plan::{Compute, Plan, Step, Upsample};

/// One launch per phase.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::ConvTranspose { conv, style } = &step.compute else {
        return Err(misfit(step, "conv_transpose computes transposed convolutions"));
    };
    let [o, i, kh, kw] = plan.graph.param(conv.weight).dims[..] else {
        return Err(misfit(step, "its weight is no [O, I, kh, kw]"));
    };
    let y = step.output.shape;
    input(step)?;
    let stride = conv.stride;
    let mut dispatches = Vec::new();
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
            let product = Product {
                weight: conv.weight,
                upsample: Upsample::None,
                style: *style,
                groups: 1,
                first_input: 0,
                group_inputs: i,
                first_output: 0,
                group_outputs: o,
                size: [(y.h - row).div_ceil(stride), (y.w - column).div_ceil(stride)],
                stride: 1,
                step: -1,
                corner: [top, left],
                taps: kh * kw,
                first_tap: tap_row * kw + tap_column,
                used_taps: [rows, columns],
                tap_steps: [stride * kw, stride],
                phases: stride,
                phase: [row, column],
            };
            dispatches.push(product.launch(step, plan)?);
        }
    }
    Ok(dispatches)
}
