//! `conv_direct`: any convolution, straight from its formula. The twin of all convolutions.
//!
//! Sums in f64, so that what a comparison shows is the other's error.

use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::tensor::{Tensor, TensorMut};
use super::upsample;
use crate::error::Result;
use crate::graph::{Conv2d, Graph, Padding, ParamId, Path};
use crate::plan::{Step, Upsample};

/// Makes a convolution ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let weight = Weight::new(step, graph)?;
    Ok(Ready::new(weight.memory(), move |io| {
        weight.direct().run(io.x(), io.style(), io.epilogue, io.output);
    }))
}

/// A convolution and its weight as in the checkpoint, kept.
pub struct Weight {
    conv: Conv2d,
    upsample: Upsample,
    dims: [usize; 4],
    first_channel: usize,
    values: Vec<f32>,
}

impl Weight {
    /// That of `step`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when it is not a convolution.
    pub fn new(step: &Step, graph: &Graph) -> Result<Self> {
        let conv = step.convolution()?.conv;
        let (dims, values) = values(conv.weight, step, graph)?;
        Ok(Self { conv, upsample: step.upsample, dims, first_channel: 0, values })
    }

    /// That of a path of `step`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when its weight is not that of a convolution.
    pub fn of_path(path: &Path, step: &Step, graph: &Graph) -> Result<Self> {
        let (dims, values) = values(path.weight, step, graph)?;
        let conv = Conv2d {
            weight: path.weight,
            stride: 1,
            padding: Padding::all((path.dilation * (dims[2] / 2)) as i32),
            dilation: path.dilation,
            groups: path.groups,
        };
        let first_channel = path.first_channel;
        Ok(Self { conv, upsample: Upsample::None, dims, first_channel, values })
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        size_of_val(&self.values[..])
    }

    /// The convolution.
    pub fn direct(&self) -> Direct<'_> {
        let Self { conv, upsample, dims, first_channel, ref values } = *self;
        Direct { conv, dims, weight: values, upsample, first_channel }
    }
}

fn values(weight: ParamId, step: &Step, graph: &Graph) -> Result<([usize; 4], Vec<f32>)> {
    let param = graph.param(weight);
    match *param.dims {
        [o, i, kh, kw] => Ok(([o, i, kh, kw], param.to_f32())),
        _ => Err(step.misfit("its weight is not [O, I, kh, kw]")),
    }
}

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
        let Conv2d { stride, dilation, groups, .. } = self.conv;
        let [outputs, depth, kh, kw] = self.dims;
        let first = self.first_channel + o / (outputs / groups) * depth;
        let height = plane.len() / width;
        // What the taps read of a channel.
        let size = [(height, kh), (width, kw)]
            .map(|(len, taps)| (len - 1) * stride + (taps - 1) * dilation + 1);
        let mut channel = vec![0.0; size[0] * size[1]];
        let mut sums = vec![0.0f64; plane.len()];
        let weights = self.weight[o * depth * kh * kw..].chunks_exact(kh * kw);
        for (i, weights) in (first..first + depth).zip(weights) {
            let gain = style.map_or(1.0, |style| style.samples[n][i]);
            self.read(x, [n, i], gain, size[1], &mut channel);
            for (tap, weight) in weights.iter().enumerate() {
                let [u, v] = [tap / kw * dilation, tap % kw * dilation];
                for (h, sums) in sums.chunks_exact_mut(width).enumerate() {
                    let row = &channel[(h * stride + u) * size[1] + v..];
                    match stride {
                        1 => add(*weight, row.iter(), sums),
                        _ => add(*weight, row.iter().step_by(stride), sums),
                    }
                }
            }
        }
        plane.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum as f32);
    }

    /// A channel resized and scaled, from the first row and column of the padding on.
    fn read(&self, x: &Tensor, [n, c]: [usize; 2], gain: f32, width: usize, to: &mut [f32]) {
        let Padding { top, left, .. } = self.conv.padding;
        for (h, row) in to.chunks_exact_mut(width).enumerate() {
            for (w, value) in row.iter_mut().enumerate() {
                let [h, w] = [h as isize - top as isize, w as isize - left as isize];
                *value = gain * upsample::at(x, self.upsample, [n, c], h, w);
            }
        }
    }
}

/// Adds a weight's products to sums in f64.
fn add<'a>(weight: f32, values: impl Iterator<Item = &'a f32>, sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += f64::from(weight * value);
    }
}
