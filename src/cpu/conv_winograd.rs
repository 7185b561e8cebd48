//! `conv_winograd`: 3×3 convolutions of stride 1 with a quarter of the multiplications,
//! F(4×4, 3×3): A. Lavin, S. Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016.
//!
//! `y = Aᵀ [ Σ_i (G W[o,i] Gᵀ) ⊙ (Bᵀ (style[i] · x[i]) B) ] A` for every tile of 4×4 outputs and the
//! 6×6 inputs that it sees. The sum over `i` is a matrix product for each of the 36 positions.
//! The interpolation points are 0, ±√½, ±√2 and ∞ instead of 0, ±1, ±2, ∞: the matrices' entries
//! then differ less in size, and so do the rounding errors.
//!
//! A thread takes a strip of tile rows: it transforms the inputs once, then multiplies and
//! transforms back a few output channels at a time. Lanes of a vector are neighbouring tiles;
//! their pixels are transposed on the way in and back on the way out.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::blocks;
use super::conv_direct::Direct;
use super::epilogue::Epilogue;
use super::matmul::{self, Block, PANEL, Panels};
use super::tensor::{Tensor, TensorMut};
use super::upsample::Channel;
use super::workspace::Workspace;
use crate::graph::Conv2d;
use crate::plan::Upsample;

/// Outputs of a tile on one axis.
const TILE: usize = 4;
/// Inputs that a tile sees on one axis.
const SEEN: usize = 6;
/// Positions of a transformed tile.
const POSITIONS: usize = SEEN * SEEN;
/// The points ±√½ and ±√2.
const POINTS: [f32; 2] = [std::f32::consts::FRAC_1_SQRT_2, std::f32::consts::SQRT_2];
/// Tiles of a strip, about.
const STRIP: usize = 64;
/// Panels of output channels that are transformed back at once.
const PANELS: usize = 16;

/// Whether this algorithm computes `conv`.
pub fn fits(conv: &Conv2d, dims: [usize; 4]) -> bool {
    dims[2..] == [3, 3] && (conv.stride, conv.dilation, conv.groups) == (1, 1, 1)
}

/// Transformed weights.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `[O, I]` for each position.
    weights: Vec<Panels>,
    /// Rows and columns of zeros before the input.
    padding: [isize; 2],
    upsample: Upsample,
}

impl Packed {
    /// Transforms the weights of `conv`: `U = G W Gᵀ`.
    pub fn new(conv: &Direct) -> Self {
        let [outputs, inputs, ..] = conv.dims;
        let filters = conv.weight.as_chunks::<9>().0;
        let weights = (0..POSITIONS)
            .into_par_iter()
            .map(|position| {
                let (rows, columns) = (filter_row(position / SEEN), filter_row(position % SEEN));
                let values: Vec<f32> = (filters.iter())
                    .map(|w| {
                        let at =
                            |u: usize, v: usize| f64::from(w[u * 3 + v]) * rows[u] * columns[v];
                        (0..9).map(|tap| at(tap / 3, tap % 3)).sum::<f64>() as f32
                    })
                    .collect();
                Panels::new(&values, outputs, inputs)
            })
            .collect();
        let padding = [conv.conv.padding.top, conv.conv.padding.left].map(|p| p as isize);
        Self { weights, padding, upsample: conv.upsample }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        self.weights.iter().map(Panels::memory).sum()
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
        let Some(&Panels { rows: outputs, depth, .. }) = self.weights.first() else { return };
        let [height, width] = [output.shape.h, output.shape.w];
        // A vector never holds tiles of two rows.
        let row_tiles = width.div_ceil(TILE).next_multiple_of(lanes());
        let all_rows = height.div_ceil(TILE);
        let shares = (2 * rayon::current_num_threads()).div_ceil(output.shape.n);
        let rows = (STRIP / row_tiles).min(all_rows / shares).max(1);
        blocks::cut(output, rows * TILE * width, &[outputs]).into_par_iter().for_each(
            |mut part| {
                let height = part.rows.first().map_or(0, |row| row.len() / width);
                let strip = Strip { rows: height.div_ceil(TILE), row_tiles };
                let block = Block::new(strip.rows * row_tiles);
                let [inputs, sums] = [block.len(depth), block.len(PANELS * PANEL)];
                let line = strip.line();
                let mut buffer =
                    workspace.take(POSITIONS * (inputs + sums) + 2 * SEEN * line + x.shape.w);
                let (transformed, rest) = buffer.split_at_mut(POSITIONS * inputs);
                let (products, rest) = rest.split_at_mut(POSITIONS * sums);
                let (lines, blended) = rest.split_at_mut(2 * SEEN * line);
                let from =
                    [(part.first_pixel / width) as isize - self.padding[0], -self.padding[1]];
                for channel in 0..depth {
                    Arch::new().dispatch(TransformInput {
                        strip,
                        channel: Channel {
                            plane: x.plane(part.n, channel),
                            size: [x.shape.h, x.shape.w],
                            upsample: self.upsample,
                            gain: style.map_or(1.0, |style| style.samples[part.n][channel]),
                        },
                        from,
                        lines: &mut *lines,
                        blended: &mut *blended,
                        to: &mut transformed[channel * block.stride..],
                        position_stride: inputs,
                    });
                }
                let mut rows = part.rows.iter_mut().enumerate();
                for first in part.panels.clone().step_by(PANELS) {
                    let panels = first..(first + PANELS).min(part.panels.end);
                    let inputs = transformed.chunks_exact(inputs);
                    let products_of = products.chunks_exact_mut(sums);
                    for ((weights, b), c) in self.weights.iter().zip(inputs).zip(products_of) {
                        matmul::multiply(weights, panels.clone(), b, block, c);
                    }
                    for (i, (o, y)) in rows.by_ref().take(panels.len() * PANEL).enumerate() {
                        Arch::new().dispatch(TransformOutput {
                            strip,
                            from: &products[i * block.stride..],
                            position_stride: sums,
                            lines: &mut *lines,
                            width,
                            to: y,
                        });
                        epilogue.apply(part.n, part.first_output + o, part.first_pixel, y);
                    }
                }
            },
        );
    }
}

/// Tile rows that are worked on together.
#[derive(Clone, Copy, Debug)]
struct Strip {
    rows: usize,
    /// Tiles of a row, a multiple of the lanes of a vector.
    row_tiles: usize,
}

impl Strip {
    /// Elements of a line of pixels: the tiles' own, and one vector of tiles more to read over.
    fn line(self) -> usize {
        (self.row_tiles + lanes()) * TILE
    }
}

/// `V = Bᵀ d B` of one channel.
struct TransformInput<'a> {
    strip: Strip,
    channel: Channel<'a>,
    /// Position of the strip's first input.
    from: [isize; 2],
    /// Twice six lines of pixels.
    lines: &'a mut [f32],
    blended: &'a mut [f32],
    /// The channel's row for position 0.
    to: &'a mut [f32],
    position_stride: usize,
}

impl WithSimd for TransformInput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { strip, channel, from, lines, blended, to, position_stride } = self;
        let length = strip.line();
        let (pixels, columns) = lines.split_at_mut(SEEN * length);
        for row in 0..strip.rows {
            // The last two lines of a tile row are the first two of the next.
            let known = if row == 0 { 0 } else { SEEN - TILE };
            pixels.copy_within((SEEN - known) * length.., 0);
            for (i, line) in pixels.chunks_exact_mut(length).enumerate().skip(known) {
                channel.row(from[0] + (row * TILE + i) as isize, from[1], blended, line);
            }
            transform_columns(simd, pixels, columns, length);
            for (i, line) in columns.chunks_exact(length).enumerate() {
                for tile in (0..strip.row_tiles).step_by(S::F32_LANES) {
                    let [d0, d1, d2, d3] = transposed(simd, &line[tile * TILE..]);
                    let [d4, d5, ..] = transposed(simd, &line[(tile + 1) * TILE..]);
                    let values = input_transform(simd, [d0, d1, d2, d3, d4, d5]);
                    for (j, value) in values.into_iter().enumerate() {
                        let position = (i * SEEN + j) * position_stride;
                        let at = position + row * strip.row_tiles + tile;
                        S::as_mut_simd_f32s(&mut to[at..at + S::F32_LANES]).0[0] = value;
                    }
                }
            }
        }
    }
}

/// `Bᵀ` applied down the columns of six lines.
#[inline(always)]
fn transform_columns<S: Simd>(simd: S, pixels: &[f32], columns: &mut [f32], length: usize) {
    let line = |i: usize| S::as_simd_f32s(&pixels[i * length..][..length]).0;
    let d: [&[S::f32s]; SEEN] = std::array::from_fn(line);
    let mut rest = columns;
    let mut to: [&mut [S::f32s]; SEEN] = std::array::from_fn(|_| {
        let (line, tail) = std::mem::take(&mut rest).split_at_mut(length);
        rest = tail;
        S::as_mut_simd_f32s(line).0
    });
    for i in 0..length / S::F32_LANES {
        let values = input_transform(simd, d.map(|d| d[i]));
        for (to, value) in to.iter_mut().zip(values) {
            to[i] = value;
        }
    }
}

/// Four vectors: pixel 0 of the lanes' tiles, pixel 1, … in an order of lanes that
/// [`TransformOutput`] undoes.
#[inline(always)]
fn transposed<S: Simd>(simd: S, line: &[f32]) -> [S::f32s; TILE] {
    let pixels = S::as_simd_f32s(&line[..TILE * S::F32_LANES]).0;
    simd.deinterleave_shfl_f32s([pixels[0], pixels[1], pixels[2], pixels[3]])
}

/// `Y = Aᵀ M A` of one channel.
struct TransformOutput<'a> {
    strip: Strip,
    /// The channel's row for position 0.
    from: &'a [f32],
    position_stride: usize,
    /// At least four lines of pixels.
    lines: &'a mut [f32],
    /// Columns of the output.
    width: usize,
    /// The strip's pixels.
    to: &'a mut [f32],
}

impl WithSimd for TransformOutput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { strip, from, position_stride, lines, width, to } = self;
        let length = strip.line();
        for (row, to) in to.chunks_mut(TILE * width).enumerate() {
            for tile in (0..strip.row_tiles).step_by(S::F32_LANES) {
                let at = row * strip.row_tiles + tile;
                let product = |i: usize, j: usize| {
                    let at = (i * SEEN + j) * position_stride + at;
                    S::as_simd_f32s(&from[at..at + S::F32_LANES]).0[0]
                };
                let columns: [[S::f32s; TILE]; SEEN] = std::array::from_fn(|j| {
                    output_transform(simd, std::array::from_fn(|i| product(i, j)))
                });
                for (i, line) in lines.chunks_exact_mut(length).take(TILE).enumerate() {
                    let pixels = output_transform(simd, columns.map(|column| column[i]));
                    let line = &mut line[tile * TILE..][..TILE * S::F32_LANES];
                    S::as_mut_simd_f32s(line).0.copy_from_slice(&simd.interleave_shfl_f32s(pixels));
                }
            }
            for (to, line) in to.chunks_exact_mut(width).zip(lines.chunks_exact(length)) {
                to.copy_from_slice(&line[..width]);
            }
        }
    }
}

/// Row `position` of `G`: the powers of point `p`, over the product of its differences to the
/// other points.
fn filter_row(position: usize) -> [f64; 3] {
    let [a, b] = [0.5f64.sqrt(), 2.0f64.sqrt()];
    let powers = |p: f64, divisor: f64| [1.0, p, p * p].map(|power| power / divisor);
    match position {
        0 => [1.0, 0.0, 0.0],
        1 => powers(a, -1.5),
        2 => powers(-a, -1.5),
        3 => powers(b, 6.0),
        4 => powers(-b, 6.0),
        _ => [0.0, 0.0, 1.0],
    }
}

/// `Bᵀ d`
#[inline(always)]
fn input_transform<S: Simd>(simd: S, d: [S::f32s; SEEN]) -> [S::f32s; SEEN] {
    let times = |factor: f32, v, plus| simd.mul_add_e_f32s(simd.splat_f32s(factor), v, plus);
    let [a, b] = POINTS.map(|p| simd.splat_f32s(p));
    let even = [times(-2.0, d[2], d[4]), times(-0.5, d[2], d[4])];
    let odd =
        [simd.mul_f32s(a, times(-2.0, d[1], d[3])), simd.mul_f32s(b, times(-0.5, d[1], d[3]))];
    [
        times(-2.5, d[2], simd.add_f32s(d[0], d[4])),
        simd.add_f32s(even[0], odd[0]),
        simd.sub_f32s(even[0], odd[0]),
        simd.add_f32s(even[1], odd[1]),
        simd.sub_f32s(even[1], odd[1]),
        times(-2.5, d[3], simd.add_f32s(d[1], d[5])),
    ]
}

/// `Aᵀ m`
#[inline(always)]
fn output_transform<S: Simd>(simd: S, m: [S::f32s; SEEN]) -> [S::f32s; TILE] {
    let times = |factor: f32, v, plus| simd.mul_add_e_f32s(simd.splat_f32s(factor), v, plus);
    let scaled = |factor: f32, v| simd.mul_f32s(simd.splat_f32s(factor), v);
    let [a, b] = POINTS;
    let sums = [simd.add_f32s(m[1], m[2]), simd.add_f32s(m[3], m[4])];
    let differences = [simd.sub_f32s(m[1], m[2]), simd.sub_f32s(m[3], m[4])];
    [
        simd.add_f32s(m[0], simd.add_f32s(sums[0], sums[1])),
        times(a, differences[0], scaled(b, differences[1])),
        times(0.5, sums[0], scaled(2.0, sums[1])),
        times(0.5 * a, differences[0], times(2.0 * b, differences[1], m[5])),
    ]
}

/// Lanes of a vector on this machine.
fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}
