//! `conv_winograd`: 3×3 convolutions of stride 1 with a quarter of the multiplications,
//! F(4×4, 3×3): A. Lavin, S. Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016.
//!
//! `y = Aᵀ [ Σ_i (G W[o,i] Gᵀ) ⊙ (Bᵀ (style[i] · x[i]) B) ] A` for every tile of 4×4 outputs and the
//! 6×6 inputs that it sees. The sum over `i` is a matrix product for each of the 36 positions.
//! The interpolation points are 0, ±√½, ±√2 and ∞ instead of 0, ±1, ±2, ∞: the matrices' entries
//! then differ less in size, and so do the rounding errors.
//!
//! A thread takes a strip of tile rows, or of tiles of one row: it transforms the inputs once, then
//! multiplies and transforms back some output channels at a time. Lanes of a vector are neighbouring
//! tiles; their pixels are transposed on the way in and back on the way out. Where a row has too few
//! tiles for whole vectors, the rows of a strip are joined.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::blocks;
use super::conv_direct::Direct;
use super::conv_direct::Weight;
use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::matmul::{self, Block, PANEL, Panels};
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::upsample::Channel;
use super::workspace::Workspace;
use crate::error::Result;
use crate::graph::Conv2d;
use crate::graph::Graph;
use crate::plan::Step;
use crate::plan::Upsample;

/// Makes a 3×3 convolution of stride 1 ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let weight = Weight::new(step, graph)?;
    let direct = weight.direct();
    if !fits(&direct.conv, direct.dims) {
        return Err(step.misfit("it is not 3×3 with stride and dilation 1"));
    }
    let packed = Packed::new(&direct);
    Ok(Ready::new(packed.memory(), move |io| {
        packed.run(io.x(), io.style(), io.epilogue, io.output, io.workspace);
    }))
}

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
/// Tiles of a strip where the weights exceed a core's own cache: more tiles share a loaded weight.
const LONG_STRIP: usize = 128;
/// Input channels from which on strips are long: 36 × 256 × 32 weights are 1.2 MB.
const DEEP: usize = 256;
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
        let width = output.shape.w;
        let row_tiles = width.div_ceil(TILE);
        let tiles = if depth < DEEP { STRIP } else { LONG_STRIP };
        let rows = (tiles / row_tiles).max(1);
        let parts = blocks::cut(output, rows * TILE * width, &[outputs]);
        team::for_each(parts, |mut part| {
            let height = part.rows.first().map_or(0, |row| row.len() / width);
            let rows = height.div_ceil(TILE);
            for first in (0..row_tiles).step_by(tiles) {
                let row_tiles = tiles.min(row_tiles - first);
                let strip = Strip { rows, first, row_tiles };
                self.fill_strip(strip, x, style, epilogue, width, &mut part, workspace);
            }
        });
    }

    /// The outputs of one strip of a part.
    #[allow(clippy::too_many_arguments)]
    fn fill_strip(
        &self,
        strip: Strip,
        x: &Tensor,
        style: Option<&Tensor>,
        epilogue: &Epilogue,
        width: usize,
        part: &mut blocks::Part,
        workspace: &Workspace,
    ) {
        let depth = self.weights.first().map_or(0, |weights| weights.depth);
        let block = Block::new(strip.rows * strip.row_tiles);
        let most = PANELS.min(part.panels.len());
        let [inputs, sums] = [block.len(depth), block.len(most * PANEL)];
        let line = strip.line();
        // The last line is read from its fifth pixel on.
        let lines = 2 * SEEN * line + 2 * SEEN * strip.joined() + TILE;
        let mut buffer = workspace.take(POSITIONS * (inputs + sums) + lines + x.shape.w);
        let (transformed, rest) = buffer.split_at_mut(POSITIONS * inputs);
        let (products, rest) = rest.split_at_mut(POSITIONS * sums);
        let (lines, blended) = rest.split_at_mut(lines);
        let first_row = (part.first_pixel / width) as isize;
        let first_column = (strip.first * TILE) as isize;
        let from = [first_row - self.padding[0], first_column - self.padding[1]];
        let channel_of = |channel: usize| Channel {
            plane: x.plane(part.n, channel),
            size: [x.shape.h, x.shape.w],
            upsample: self.upsample,
            gain: style.map_or(1.0, |style| style.samples[part.n][channel]),
        };
        for channel in 0..depth {
            Arch::new().dispatch(TransformInput {
                strip,
                channel: channel_of(channel),
                next: channel_of((channel + 1).min(depth - 1)),
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
                let pixels =
                    (strip.first * TILE)..((strip.first + strip.row_tiles) * TILE).min(width);
                if pixels.len() == width {
                    epilogue.apply(part.n, part.first_output + o, part.first_pixel, y);
                    continue;
                }
                for (row, y) in y.chunks_exact_mut(width).enumerate() {
                    let first = part.first_pixel + row * width + pixels.start;
                    epilogue.apply(part.n, part.first_output + o, first, &mut y[pixels.clone()]);
                }
            }
        }
    }
}

/// Tiles that are worked on together: tile rows, or a part of one.
#[derive(Clone, Copy, Debug)]
struct Strip {
    rows: usize,
    /// First tile of the row.
    first: usize,
    /// Tiles of a row.
    row_tiles: usize,
}

impl Strip {
    /// Elements of a line of pixels that a row of tiles sees and one tile more, in whole vectors.
    fn line(self) -> usize {
        (self.row_tiles * TILE + TILE).next_multiple_of(matmul::lanes())
    }

    /// Elements of a line of all rows' pixels, in whole vectors of tiles.
    fn joined(self) -> usize {
        (self.rows * self.row_tiles).next_multiple_of(matmul::lanes()) * TILE
    }
}

/// `V = Bᵀ d B` of one channel.
struct TransformInput<'a> {
    strip: Strip,
    channel: Channel<'a>,
    /// The channel after it.
    next: Channel<'a>,
    /// Position of the strip's first input.
    from: [isize; 2],
    /// Twice six lines of pixels, and twice six joined ones.
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
        let Self { strip, channel, next, from, lines, blended, to, position_stride } = self;
        let (length, joined) = (strip.line(), strip.joined());
        let (pixels, rest) = lines.split_at_mut(SEEN * length);
        let (columns, rest) = rest.split_at_mut(SEEN * length);
        // What a tile sees beyond its own pixels are the first two of the next tile.
        let (own, beyond) = rest.split_at_mut(SEEN * joined);
        for row in 0..strip.rows {
            // The last two lines of a tile row are the first two of the next.
            let known = if row == 0 { 0 } else { SEEN - TILE };
            pixels.copy_within((SEEN - known) * length.., 0);
            for (i, line) in pixels.chunks_exact_mut(length).enumerate().skip(known) {
                let h = from[0] + (row * TILE + i) as isize;
                channel.row(h, from[1], blended, line);
                next.prefetch(h, from[1], length);
            }
            transform_columns(simd, pixels, columns, length);
            let at = row * strip.row_tiles;
            let len = strip.row_tiles * TILE;
            if strip.row_tiles.is_multiple_of(S::F32_LANES) {
                let to = &mut to[at..];
                transform_rows(simd, columns, &columns[TILE..], length, len, to, position_stride);
                continue;
            }
            let lines = own.chunks_exact_mut(joined).zip(beyond.chunks_exact_mut(joined));
            for ((own, beyond), line) in lines.zip(columns.chunks_exact(length)) {
                own[at * TILE..][..len].copy_from_slice(&line[..len]);
                let seen = len + SEEN - 2 * TILE;
                beyond[at * TILE..][..seen].copy_from_slice(&line[TILE..][..seen]);
            }
        }
        if !strip.row_tiles.is_multiple_of(S::F32_LANES) {
            transform_rows(simd, own, beyond, joined, joined, to, position_stride);
        }
    }
}

/// `B` applied along six lines of `len` pixels that are `length` apart; `beyond` are the same lines
/// from their fifth pixel on.
#[inline(always)]
fn transform_rows<S: Simd>(
    simd: S,
    own: &[f32],
    beyond: &[f32],
    length: usize,
    len: usize,
    to: &mut [f32],
    position_stride: usize,
) {
    for i in 0..SEEN {
        let (own, beyond) = (&own[i * length..], &beyond[i * length..]);
        for tile in (0..len / TILE).step_by(S::F32_LANES) {
            let [d0, d1, d2, d3] = transposed(simd, &own[tile * TILE..]);
            let [d4, d5, ..] = transposed(simd, &beyond[tile * TILE..]);
            let values = input_transform(simd, [d0, d1, d2, d3, d4, d5]);
            for (j, value) in values.into_iter().enumerate() {
                let at = (i * SEEN + j) * position_stride + tile;
                S::as_mut_simd_f32s(&mut to[at..at + S::F32_LANES]).0[0] = value;
            }
        }
    }
}

/// `Bᵀ` applied down the columns of six lines.
#[inline(always)]
fn transform_columns<S: Simd>(simd: S, pixels: &[f32], columns: &mut [f32], length: usize) {
    for at in (0..length).step_by(S::F32_LANES) {
        let mut d = [simd.splat_f32s(0.0); SEEN];
        for (d, line) in d.iter_mut().zip(pixels.chunks_exact(length)) {
            *d = S::as_simd_f32s(&line[at..at + S::F32_LANES]).0[0];
        }
        let values = input_transform(simd, d);
        for (value, line) in values.into_iter().zip(columns.chunks_exact_mut(length)) {
            S::as_mut_simd_f32s(&mut line[at..at + S::F32_LANES]).0[0] = value;
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
    /// At least four joined lines of pixels.
    lines: &'a mut [f32],
    /// Columns of the output.
    width: usize,
    /// The pixels of the part.
    to: &'a mut [f32],
}

impl WithSimd for TransformOutput<'_> {
    type Output = ();

    // Loops over arrays, no closures, as in `matmul`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { strip, from, position_stride, lines, width, to } = self;
        let joined = strip.joined();
        for tile in (0..joined / TILE).step_by(S::F32_LANES) {
            let mut columns = [[simd.splat_f32s(0.0); TILE]; SEEN];
            for (j, column) in columns.iter_mut().enumerate() {
                let mut products = [simd.splat_f32s(0.0); SEEN];
                for (i, product) in products.iter_mut().enumerate() {
                    let at = (i * SEEN + j) * position_stride + tile;
                    *product = S::as_simd_f32s(&from[at..at + S::F32_LANES]).0[0];
                }
                *column = output_transform(simd, products);
            }
            for (i, line) in lines.chunks_exact_mut(joined).take(TILE).enumerate() {
                let mut row = [simd.splat_f32s(0.0); SEEN];
                for (value, column) in row.iter_mut().zip(&columns) {
                    *value = column[i];
                }
                let pixels = output_transform(simd, row);
                let line = &mut line[tile * TILE..][..TILE * S::F32_LANES];
                S::as_mut_simd_f32s(line).0.copy_from_slice(&simd.interleave_shfl_f32s(pixels));
            }
        }
        let first = strip.first * TILE;
        let len = (strip.row_tiles * TILE).min(width - first);
        for (h, to) in to.chunks_exact_mut(width).enumerate() {
            let line = &lines[h % TILE * joined + h / TILE * strip.row_tiles * TILE..];
            to[first..first + len].copy_from_slice(&line[..len]);
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
    let [a, b] = [simd.splat_f32s(POINTS[0]), simd.splat_f32s(POINTS[1])];
    let [minus_2, minus_2_5, minus_half] =
        [simd.splat_f32s(-2.0), simd.splat_f32s(-2.5), simd.splat_f32s(-0.5)];
    let even =
        [simd.mul_add_e_f32s(minus_2, d[2], d[4]), simd.mul_add_e_f32s(minus_half, d[2], d[4])];
    let odd = [
        simd.mul_f32s(a, simd.mul_add_e_f32s(minus_2, d[1], d[3])),
        simd.mul_f32s(b, simd.mul_add_e_f32s(minus_half, d[1], d[3])),
    ];
    [
        simd.mul_add_e_f32s(minus_2_5, d[2], simd.add_f32s(d[0], d[4])),
        simd.add_f32s(even[0], odd[0]),
        simd.sub_f32s(even[0], odd[0]),
        simd.add_f32s(even[1], odd[1]),
        simd.sub_f32s(even[1], odd[1]),
        simd.mul_add_e_f32s(minus_2_5, d[3], simd.add_f32s(d[1], d[5])),
    ]
}

/// `Aᵀ m`
#[inline(always)]
fn output_transform<S: Simd>(simd: S, m: [S::f32s; SEEN]) -> [S::f32s; TILE] {
    let [a, b] = [simd.splat_f32s(POINTS[0]), simd.splat_f32s(POINTS[1])];
    let [half, two] = [simd.splat_f32s(0.5), simd.splat_f32s(2.0)];
    // Cubes of the points.
    let [a3, b3] = [simd.mul_f32s(half, a), simd.mul_f32s(two, b)];
    let sums = [simd.add_f32s(m[1], m[2]), simd.add_f32s(m[3], m[4])];
    let differences = [simd.sub_f32s(m[1], m[2]), simd.sub_f32s(m[3], m[4])];
    [
        simd.add_f32s(m[0], simd.add_f32s(sums[0], sums[1])),
        simd.mul_add_e_f32s(a, differences[0], simd.mul_f32s(b, differences[1])),
        simd.mul_add_e_f32s(half, sums[0], simd.mul_f32s(two, sums[1])),
        simd.mul_add_e_f32s(a3, differences[0], simd.mul_add_e_f32s(b3, differences[1], m[5])),
    ]
}
