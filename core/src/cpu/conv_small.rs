//! Convolutions of small pictures, whose rows are too short for vectors of pixels, as products whose
//! lanes are output channels: `y[o..o+lanes, p] = Σ_k W[o..o+lanes, k] · x[k, p]` with one pixel for
//! all lanes.
//!
//! The input is copied once per sample with zeros around it, a stride's columns apart, so that the
//! next output of a row reads the next element; from then on every tap is an offset, whatever
//! stride, dilation and padding are. Sums of some pixels of a row times some vectors of channels
//! stay in registers.

use pulp::{Arch, Simd, WithSimd};

use super::blocks;
use super::conv_direct::{Direct, Weight};
use super::epilogue::Epilogue;
use super::gather::{self, Tap};
use super::kernel::Ready;
use super::matmul::{PANEL, lanes};
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::upsample::Channel;
use super::vectorize::vectorize;
use super::workspace::Workspace;
use crate::error::Result;
use crate::graph::Graph;
use crate::plan::{Step, Upsample};

/// Most vectors of channels in a register tile.
const VECTORS: usize = 3;
/// Most pixels in a register tile.
const PIXELS: usize = 16;
/// Taps whose weights stay in the first-level cache for all pixels of a part.
const DEPTH: usize = 128;
/// Elements of the copied input that are a thread's work.
const GRAIN: usize = 16 << 10;
/// Products that a part has at least, where there are enough.
const PART: usize = 4 << 20;

/// Makes a convolution ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let weight = Weight::new(step, graph)?;
    let packed = Packed::of_paths(&[weight.direct()]);
    Ok(Ready::new(packed.memory(), move |io| {
        packed.run(io.x(), io.style(), io.epilogue, io.output, io.workspace);
    }))
}

/// One or several convolutions of the same input.
#[derive(Clone, Debug)]
pub struct Packed {
    blocks: Vec<Block>,
    stride: usize,
    upsample: Upsample,
    /// The smallest and the largest shift of a tap, rows and columns.
    shifts: [[isize; 2]; 2],
}

/// Some output channels of a convolution.
#[derive(Clone, Debug)]
struct Block {
    /// Without padding.
    outputs: usize,
    /// `[taps, padded outputs]`
    weights: Vec<f32>,
    taps: Vec<Tap>,
}

impl Block {
    /// Output channels in whole vectors.
    fn padded(&self) -> usize {
        self.outputs.next_multiple_of(lanes())
    }
}

impl Packed {
    /// Packs convolutions whose outputs follow each other. They share stride and resize.
    pub fn of_paths(paths: &[Direct]) -> Self {
        let blocks: Vec<Block> = paths.iter().flat_map(blocks_of).collect();
        let (stride, upsample) =
            paths.first().map_or((1, Upsample::None), |path| (path.conv.stride, path.upsample));
        let bounds = |axis: usize| {
            let shifts = || blocks.iter().flat_map(|b| &b.taps).map(|tap| tap.shift[axis]);
            [shifts().min().unwrap_or(0), shifts().max().unwrap_or(0)]
        };
        let [[top, bottom], [left, right]] = [bounds(0), bounds(1)];
        Self { blocks, stride, upsample, shifts: [[top, left], [bottom, right]] }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        self.blocks.iter().map(|block| size_of_val(&block.weights[..])).sum()
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
        let shape = output.shape;
        let frame = self.frame([shape.h, shape.w]);
        let sample = x.shape.c * frame.channel;
        let mut copy = workspace.take(shape.n * sample + PIXELS);
        self.copy(x, style, frame, &mut copy[..shape.n * sample]);
        let outputs: Vec<usize> = self.blocks.iter().map(|block| block.outputs).collect();
        // Parts for all threads, and no larger than need be.
        let bands = (2 * team::threads()).div_ceil(shape.n * outputs.len()).min(shape.h);
        let most = self.blocks.iter().map(|block| block.weights.len()).max().unwrap_or(1);
        let rows = (PART / (most * shape.w)).clamp(1, shape.h.div_ceil(bands));
        let starts: Vec<Vec<usize>> =
            self.blocks.iter().map(|block| self.starts(block, frame)).collect();
        let copy = &copy[..];
        team::for_each(blocks::cut(output, rows * shape.w, &outputs), |mut part| {
            let block = &self.blocks[part.product];
            let pixels = part.pixels() / shape.w * shape.w.next_multiple_of(PIXELS);
            let mut sums = workspace.take(pixels * VECTORS * lanes());
            Arch::new().dispatch(Sums {
                weights: &block.weights[part.panels.start * PANEL..],
                padded: block.padded(),
                x: &copy[part.n * sample..],
                starts: &starts[part.product],
                first_row: part.first_pixel / shape.w,
                line: frame.line * self.stride,
                width: shape.w,
                sums: &mut sums,
                rows: &mut part.rows,
            });
            for (i, y) in part.rows.iter_mut().enumerate() {
                epilogue.apply(part.n, part.first_output + i, part.first_pixel, y);
            }
        });
    }

    /// The layout of the copy for an output of `[rows, columns]`.
    fn frame(&self, [rows, columns]: [usize; 2]) -> Frame {
        let [[top, left], [bottom, right]] = self.shifts;
        let lines = (rows - 1) * self.stride + (bottom - top) as usize + 1;
        let columns = columns.next_multiple_of(PIXELS) + (right - left) as usize / self.stride + 1;
        let line = columns * self.stride;
        Frame { columns, line, channel: lines * line }
    }

    /// Copies `x` into `to`, `[N, C, lines, stride, columns]`.
    fn copy(&self, x: &Tensor, style: Option<&Tensor>, frame: Frame, to: &mut [f32]) {
        let many = (GRAIN / frame.channel).max(1);
        let parts = to.chunks_mut(many * frame.channel).enumerate().collect();
        let [top, left] = self.shifts[0];
        team::for_each(parts, |(part, to): (usize, &mut [f32])| {
            let mut blended = vec![0.0; x.shape.w];
            let mut row = vec![0.0; frame.line];
            vectorize(
                #[inline(always)]
                || {
                    for (i, to) in (part * many..).zip(to.chunks_exact_mut(frame.channel)) {
                        let (n, c) = (i / x.shape.c, i % x.shape.c);
                        let channel = Channel {
                            plane: x.plane(n, c),
                            size: [x.shape.h, x.shape.w],
                            upsample: self.upsample,
                            gain: style.map_or(1.0, |style| style.samples[n][c]),
                        };
                        for (h, to) in (top..).zip(to.chunks_exact_mut(frame.line)) {
                            if self.stride == 1 {
                                channel.row(h, left, &mut blended, to);
                                continue;
                            }
                            channel.row(h, left, &mut blended, &mut row);
                            for (phase, to) in to.chunks_exact_mut(frame.columns).enumerate() {
                                let from = row[phase..].iter().step_by(self.stride);
                                to.iter_mut().zip(from).for_each(|(to, v)| *to = *v);
                            }
                        }
                    }
                },
            );
        });
    }

    /// Where the taps of `block` read the first output's inputs.
    fn starts(&self, block: &Block, frame: Frame) -> Vec<usize> {
        let [top, left] = self.shifts[0];
        let start = |tap: &Tap| {
            let [h, w] = [tap.shift[0] - top, tap.shift[1] - left].map(|shift| shift as usize);
            let (phase, w) = (w % self.stride, w / self.stride);
            tap.channel * frame.channel + h * frame.line + phase * frame.columns + w
        };
        block.taps.iter().map(start).collect()
    }
}

/// The layout of a sample's copy.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Elements of one phase of the stride in a line.
    columns: usize,
    /// Elements of a line.
    line: usize,
    /// Elements of a channel.
    channel: usize,
}

/// The output channels of each group of `path`, in blocks of as many vectors, at most [`VECTORS`].
fn blocks_of(path: &Direct) -> Vec<Block> {
    let [outputs, depth, kh, kw] = path.dims;
    let rows = outputs / path.conv.groups;
    let taps = depth * kh * kw;
    let vectors = rows.div_ceil(lanes());
    let height = vectors.div_ceil(vectors.div_ceil(VECTORS).max(1)).max(1) * lanes();
    let mut blocks = Vec::new();
    for group in 0..path.conv.groups {
        for first in (0..rows).step_by(height) {
            let outputs = height.min(rows - first);
            let padded = outputs.next_multiple_of(lanes());
            let mut weights = vec![0.0; taps * padded];
            let from = &path.weight[(group * rows + first) * taps..][..outputs * taps];
            for (o, row) in from.chunks_exact(taps.max(1)).enumerate() {
                for (to, v) in weights[o..].iter_mut().step_by(padded).zip(row) {
                    *to = *v;
                }
            }
            blocks.push(Block { outputs, weights, taps: gather::taps(path, group) });
        }
    }
    blocks
}

/// The sums of a part.
struct Sums<'a, 'o> {
    /// From the part's first channel on, `padded` channels apart.
    weights: &'a [f32],
    padded: usize,
    x: &'a [f32],
    /// Where each tap reads the picture's first output.
    starts: &'a [usize],
    first_row: usize,
    /// Elements from an output row's inputs to the next one's.
    line: usize,
    width: usize,
    /// `[pixels, channels]`, pixels of a row in whole tiles.
    sums: &'a mut [f32],
    /// The pixels of each channel.
    rows: &'a mut [&'o mut [f32]],
}

impl WithSimd for Sums<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = self.rows.len().div_ceil(S::F32_LANES);
        let many = S::REGISTER_COUNT >= 32;
        let narrow = self.width < 8;
        match (vectors, many, narrow) {
            (1, true, false) => self.fill::<S, 16, 1>(simd),
            (2, true, false) => self.fill::<S, 8, 2>(simd),
            (3, true, false) => self.fill::<S, 8, 3>(simd),
            (1, ..) => self.fill::<S, 8, 1>(simd),
            (2, ..) => self.fill::<S, 4, 2>(simd),
            _ => self.fill::<S, 4, 3>(simd),
        }
    }
}

impl Sums<'_, '_> {
    // Loops over arrays, no closures, as in `matmul`.
    #[inline(always)]
    fn fill<S: Simd, const PIXELS: usize, const VECTORS: usize>(&mut self, simd: S) {
        let Self { weights, padded, x, starts, first_row, line, width, .. } = *self;
        let height = self.rows.first().map_or(0, |row| row.len() / width);
        let tile = PIXELS * VECTORS;
        let tiles = width.div_ceil(PIXELS);
        let all = S::as_mut_simd_f32s(&mut self.sums[..]).0;
        let passes = weights.chunks(DEPTH * padded).zip(starts.chunks(DEPTH));
        for (pass, (weights, starts)) in passes.enumerate() {
            for (i, to) in all.chunks_exact_mut(tile).take(height * tiles).enumerate() {
                let x = &x[(first_row + i / tiles) * line + i % tiles * PIXELS..];
                let mut sums = [[simd.splat_f32s(0.0); VECTORS]; PIXELS];
                for (weights, &start) in weights.chunks(padded).zip(starts) {
                    let from = S::as_simd_f32s(&weights[..VECTORS * S::F32_LANES]).0;
                    let mut columns = [simd.splat_f32s(0.0); VECTORS];
                    columns.copy_from_slice(from);
                    let pixels: &[f32] = &x[start..start + PIXELS];
                    for (sums, v) in sums.iter_mut().zip(pixels) {
                        let v = simd.splat_f32s(*v);
                        for (sum, weight) in sums.iter_mut().zip(&columns) {
                            *sum = simd.mul_add_e_f32s(*weight, v, *sum);
                        }
                    }
                }
                for (to, sums) in to.chunks_exact_mut(VECTORS).zip(sums) {
                    for (to, sum) in to.iter_mut().zip(sums) {
                        *to = if pass > 0 { simd.add_f32s(*to, sum) } else { sum };
                    }
                }
            }
        }
        let channels = VECTORS * S::F32_LANES;
        let lines = self.sums.chunks_exact(tiles * PIXELS * channels);
        for (h, line) in lines.take(height).enumerate() {
            for (o, row) in self.rows.iter_mut().enumerate() {
                let channel = line[o..].iter().step_by(channels);
                row[h * width..][..width].iter_mut().zip(channel).for_each(|(y, sum)| *y = *sum);
            }
        }
    }
}
