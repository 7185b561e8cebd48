//! `conv_depthwise`: a filter per channel, row by row. Its twin is
//! [`conv_direct`](super::conv_direct).

use super::conv_direct::Direct;
use super::conv_direct::Weight;
use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::tensor::{Tensor, TensorMut};
use super::upsample::Channel;
use super::vectorize::vectorize;
use crate::error::Result;
use crate::graph::Graph;
use crate::plan::Step;

/// Makes a convolution with one input channel per group ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let weight = Weight::new(step, graph)?;
    if weight.direct().dims[1] != 1 {
        return Err(step.misfit("it has several input channels per group"));
    }
    Ok(Ready::new(weight.memory(), move |io| {
        run(&weight.direct(), io.x(), io.style(), io.epilogue, io.output);
    }))
}

/// `y[n,o,h,w] = Σ_{u,v} W[o,0,u,v] · style[n,i] · upsample(x)[n, i, s·h+u·d-p, s·w+v·d-p]` with
/// `i` the only channel of `o`'s group.
pub fn run(
    conv: &Direct,
    x: &Tensor,
    style: Option<&Tensor>,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let width = output.shape.w;
    let per_group = conv.dims[0] / conv.conv.groups;
    output.fill_planes(|n, o, plane| {
        let i = conv.first_channel + o / per_group;
        let channel = Channel {
            plane: x.plane(n, i),
            size: [x.shape.h, x.shape.w],
            upsample: conv.upsample,
            gain: style.map_or(1.0, |style| style.samples[n][i]),
        };
        let [_, _, kh, kw] = conv.dims;
        let taps = &conv.weight[o * kh * kw..][..kh * kw];
        filter(conv, taps, &channel, width, plane);
        epilogue.apply(n, o, 0, plane);
    });
}

fn filter(conv: &Direct, taps: &[f32], channel: &Channel, width: usize, plane: &mut [f32]) {
    let stride = conv.conv.stride;
    let dilation = conv.conv.dilation;
    let [top, left] = [conv.conv.padding.top, conv.conv.padding.left].map(|p| p as isize);
    let kw = conv.dims[3];
    let mut row = vec![0.0; (width - 1) * stride + (kw - 1) * dilation + 1];
    let mut blended = vec![0.0; channel.size[1]];
    vectorize(
        #[inline(always)]
        || {
            plane.fill(0.0);
            for (h, y) in plane.chunks_exact_mut(width).enumerate() {
                for (u, taps) in taps.chunks_exact(kw).enumerate() {
                    let source = (h * stride + u * dilation) as isize - top;
                    channel.row(source, -left, &mut blended, &mut row);
                    for (v, tap) in taps.iter().enumerate() {
                        let x = &row[v * dilation..];
                        if stride == 1 {
                            y.iter_mut().zip(x).for_each(|(y, x)| *y += tap * x);
                        } else {
                            let x = x.iter().step_by(stride);
                            y.iter_mut().zip(x).for_each(|(y, x)| *y += tap * x);
                        }
                    }
                }
            }
        },
    );
}
