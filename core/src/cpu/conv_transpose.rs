//! `conv_transpose`: transposed convolution, of StyleGAN2's upsampling layers.

use super::blocks;
use super::conv_direct::Direct;
use super::conv_direct::Weight;
use super::epilogue::Epilogue;
use super::gather::{self, Run, Tap};
use super::kernel::Ready;
use super::matmul::{self, Block, PANEL, Panels};
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use super::workspace::Workspace;
use crate::error::Result;
use crate::graph::Graph;
use crate::plan::Step;

/// Makes a transposed convolution ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let packed = Packed::new(&weight(step, graph)?.direct());
    Ok(Ready::new(packed.memory(), move |io| {
        packed.run(io.x(), io.style(), io.epilogue, io.output, io.workspace);
    }))
}

/// Makes its twin ready to run.
pub fn twin(step: &Step, graph: &Graph) -> Result<Ready> {
    let weight = weight(step, graph)?;
    Ok(Ready::new(weight.memory(), move |io| {
        run(&weight.direct(), io.x(), io.style(), io.epilogue, io.output);
    }))
}

fn weight(step: &Step, graph: &Graph) -> Result<Weight> {
    if step.convolution()?.transposed {
        Weight::new(step, graph)
    } else {
        Err(step.misfit("it is not transposed"))
    }
}

/// Elements of a gathered block: with the product's, about a core's second-level cache.
const BLOCK: usize = 96 << 10;

/// `y[n, o, s·h + u - top, s·w + v - left] += Σ_i W[o,i,u,v] · style[n,i] · x[n,i,h,w]`
/// for all `h, w, u, v`. The twin; sums in f64.
pub fn run(
    direct: &Direct,
    x: &Tensor,
    style: Option<&Tensor>,
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let Direct { conv, dims: [_, depth, kh, kw], weight, .. } = *direct;
    let (height, width) = (output.shape.h, output.shape.w);
    output.fill_planes(|n, o, plane| {
        let mut sums = vec![0.0f64; plane.len()];
        for i in 0..depth {
            let gain = style.map_or(1.0, |style| style.samples[n][i]);
            for (p, value) in x.plane(n, i).iter().enumerate() {
                let (h, w) = (p / x.shape.w, p % x.shape.w);
                for u in 0..kh {
                    let row = (conv.stride * h + u).wrapping_sub(conv.padding.top as usize);
                    for v in 0..kw {
                        let column = (conv.stride * w + v).wrapping_sub(conv.padding.left as usize);
                        if row < height && column < width {
                            let weight = weight[((o * depth + i) * kh + u) * kw + v];
                            sums[row * width + column] += f64::from(weight * (gain * value));
                        }
                    }
                }
            }
        }
        plane.iter_mut().zip(&sums).for_each(|(y, sum)| *y = *sum as f32);
        epilogue.apply(n, o, 0, plane);
    });
}

/// The fast version. Outputs whose position has the same remainder modulo the stride (a phase)
/// see the same taps: each phase is an ordinary convolution of the input, and a matrix product.
#[derive(Clone, Debug)]
pub struct Packed {
    phases: Vec<Phase>,
    stride: usize,
    /// Rows and columns cropped before the first.
    crop: [usize; 2],
    outputs: usize,
}

/// Outputs at `stride · q + remainder`, before the crop.
#[derive(Clone, Debug)]
struct Phase {
    remainder: [usize; 2],
    weights: Panels,
    taps: Vec<Tap>,
}

impl Packed {
    /// Packs `direct`.
    pub fn new(direct: &Direct) -> Self {
        let [outputs, depth, kh, kw] = direct.dims;
        let stride = direct.conv.stride;
        let phase = |remainder: [usize; 2]| {
            let mut taps = Vec::new();
            let mut positions = Vec::new();
            for channel in 0..depth {
                for u in (remainder[0]..kh).step_by(stride) {
                    for v in (remainder[1]..kw).step_by(stride) {
                        let shift = [u, v].map(|tap| -((tap / stride) as isize));
                        taps.push(Tap { channel, shift });
                        positions.push((channel * kh + u) * kw + v);
                    }
                }
            }
            let rows = direct.weight.chunks_exact(depth * kh * kw);
            let values: Vec<f32> =
                rows.flat_map(|row| positions.iter().map(|&position| row[position])).collect();
            Phase { remainder, weights: Panels::new(&values, outputs, taps.len()), taps }
        };
        let phases = (0..stride * stride).map(|i| phase([i / stride, i % stride])).collect();
        let padding = direct.conv.padding;
        let crop = [padding.top, padding.left].map(|crop| crop as usize);
        Self { phases, stride, crop, outputs }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        self.phases.iter().map(|phase| phase.weights.memory()).sum()
    }

    /// Convolves.
    pub fn run(
        &self,
        x: &Tensor,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        output: &mut TensorMut,
        workspace: &Workspace,
    ) {
        let width = output.shape.w;
        let depth = self.phases.iter().map(|phase| phase.taps.len()).max().unwrap_or(1);
        // Rows of a phase in a part, so that its inputs fill a block.
        let rows = (BLOCK / depth.max(1) / (width / self.stride + 1)).max(1);
        let parts = blocks::cut(output, rows * self.stride * width, &[self.outputs]);
        team::for_each(parts, |mut part| {
            for phase in &self.phases {
                self.fill_phase(phase, x, style, width, &mut part, workspace);
            }
            for (i, y) in part.rows.iter_mut().enumerate() {
                epilogue.apply(part.n, part.first_output + i, part.first_pixel, y);
            }
        });
    }

    fn fill_phase(
        &self,
        phase: &Phase,
        x: &Tensor,
        style: Option<&Tensor>,
        width: usize,
        part: &mut blocks::Part,
        workspace: &Workspace,
    ) {
        let height = part.rows.first().map_or(0, |row| row.len() / width);
        let first_row = part.first_pixel / width;
        let rows = Axis::new(self.stride, phase.remainder[0], first_row + self.crop[0], height);
        let columns = Axis::new(self.stride, phase.remainder[1], self.crop[1], width);
        let block = Block::new(rows.count * columns.count);
        let inputs = block.len(phase.taps.len());
        let mut buffer = workspace.take(inputs + block.len(part.panels.len() * PANEL));
        let (b, c) = buffer.split_at_mut(inputs);
        let runs: Vec<Run> = (rows.first..rows.first + rows.count)
            .map(|row| Run { from: [row as isize, columns.first as isize], len: columns.count })
            .collect();
        vectorize(
            #[inline(always)]
            || {
                for (tap, row) in phase.taps.iter().zip(b.chunks_exact_mut(block.stride)) {
                    let plane = x.plane(part.n, tap.channel);
                    let gain = style.map_or(1.0, |style| style.samples[part.n][tap.channel]);
                    gather::fill(plane, [x.shape.h, x.shape.w], gain, (&runs, 1), *tap, row);
                }
            },
        );
        matmul::multiply(&phase.weights, part.panels.clone(), b, block, c);
        for (y, c) in part.rows.iter_mut().zip(c.chunks_exact(block.stride)) {
            for (row, c) in c.chunks_exact(columns.count.max(1)).take(rows.count).enumerate() {
                let y = &mut y[(rows.start + row * self.stride) * width..][..width];
                let y = y[columns.start.min(width)..].iter_mut().step_by(self.stride);
                y.zip(c).for_each(|(y, c)| *y = *c);
            }
        }
    }
}

/// The outputs of a phase on one axis of a part.
struct Axis {
    /// `q` of the first.
    first: usize,
    /// Where it stands in the part.
    start: usize,
    /// How many there are.
    count: usize,
}

impl Axis {
    /// Of outputs `from..from + len`, counted before the crop.
    fn new(stride: usize, remainder: usize, from: usize, len: usize) -> Self {
        let first = from.saturating_sub(remainder).div_ceil(stride);
        let start = first * stride + remainder - from;
        Self { first, start, count: len.saturating_sub(start).div_ceil(stride) }
    }
}
