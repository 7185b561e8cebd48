//! The matrix product under all fast convolutions: packed weights times a block of columns.
//!
//! `c[m,j] = Σ_k a[m,k] · b[k,j]`. Sums stay in registers: 8 rows × up to 3 vectors of columns
//! where there are 32 vector registers, 4 × 3 where there are 16, so that loads and the latency of
//! two FMA units hide behind the products. `a` is packed once, in the order in which it is read;
//! `b` is read in place, where its rows may overlap: those of a convolution are shifts of its input.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Rows of a panel.
pub const PANEL: usize = 8;
/// Most vectors of columns in a register tile.
const VECTORS: usize = 3;
/// Depth of a pass: with 16 lanes, `DEPTH × VECTORS` vectors of `b` are 24 KiB and stay in the
/// first-level cache for all panels.
const DEPTH: usize = 128;
/// f32 in a cache line.
const LINE: usize = 16;

/// A matrix `[rows, depth]`, padded with zeros to whole panels: for every [`DEPTH`] columns all
/// panels, each `[columns, PANEL]`. A pass over the panels reads it from front to back.
#[derive(Clone, Debug)]
pub struct Panels {
    /// Rows without padding.
    pub rows: usize,
    /// Columns.
    pub depth: usize,
    values: Vec<f32>,
}

impl Panels {
    /// Packs the row-major matrix `values`.
    pub fn new(values: &[f32], rows: usize, depth: usize) -> Self {
        let padded = rows.next_multiple_of(PANEL);
        let mut panels = vec![0.0; padded * depth];
        for (row, values) in values.chunks_exact(depth.max(1)).take(rows).enumerate() {
            for (first, values) in (0..).step_by(DEPTH).zip(values.chunks(DEPTH)) {
                let panel = first * padded + row / PANEL * PANEL * values.len() + row % PANEL;
                for (to, v) in panels[panel..].iter_mut().step_by(PANEL).zip(values) {
                    *to = *v;
                }
            }
        }
        Self { rows, depth, values: panels }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        size_of_val(&self.values[..])
    }

    /// The matrix with each column `k` times `gains[k]`.
    pub fn scaled(&self, gains: &[f32]) -> Self {
        let mut scaled = self.clone();
        let padded = self.rows.next_multiple_of(PANEL);
        let passes = scaled.values.chunks_mut((DEPTH * padded).max(1));
        for (values, gains) in passes.zip(gains.chunks(DEPTH)) {
            let columns = values.as_chunks_mut::<PANEL>().0;
            for (column, gain) in columns.iter_mut().zip(gains.iter().cycle()) {
                column.iter_mut().for_each(|v| *v *= gain);
            }
        }
        scaled
    }
}

/// Lanes of a vector on this machine; blocks of columns are padded to it.
pub use crate::plan::vector_lanes as lanes;

/// Where the columns of a block stand in memory: `columns` of them, a multiple of [`lanes`], in
/// rows that are `stride` apart. The stride is an odd number of cache lines, so that the rows of a
/// tile spread over all sets of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Columns with padding.
    pub columns: usize,
    /// Elements from row to row.
    pub stride: usize,
}

impl Block {
    /// A block for `columns` columns.
    pub fn new(columns: usize) -> Self {
        let columns = columns.next_multiple_of(lanes());
        Self { columns, stride: (columns.div_ceil(LINE) | 1) * LINE }
    }

    /// Elements of a block of `rows` rows, one row more than that: tiles read it in strides.
    pub fn len(self, rows: usize) -> usize {
        (rows + 1) * self.stride
    }
}

/// `c = a[panels] · b`; `b` and `c` are laid out by `block`. Rows of `c` come padded to panels;
/// what the padding holds afterwards is not said.
pub fn multiply(a: &Panels, panels: Range<usize>, b: &[f32], block: Block, c: &mut [f32]) {
    if a.depth == 0 {
        return c.fill(0.0);
    }
    Arch::new().dispatch(Multiply { a, panels, b, rows: None, block, c });
}

/// [`multiply`] where row `k` of `b` begins at `rows[k]` and has the columns of `block`, which lays
/// out `c`.
pub fn multiply_rows(
    a: &Panels,
    panels: Range<usize>,
    b: &[f32],
    rows: &[usize],
    block: Block,
    c: &mut [f32],
) {
    if a.depth == 0 {
        return c.fill(0.0);
    }
    Arch::new().dispatch(Multiply { a, panels, b, rows: Some(rows), block, c });
}

struct Multiply<'a> {
    a: &'a Panels,
    panels: Range<usize>,
    b: &'a [f32],
    /// Where the rows of `b` begin, if not in strides.
    rows: Option<&'a [usize]>,
    block: Block,
    c: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, panels, b, rows, block: Block { columns, stride }, c } = self;
        let padded = a.rows.next_multiple_of(PANEL);
        let outputs = (panels.len() * PANEL).min(a.rows - panels.start * PANEL);
        for first in (0..a.depth).step_by(DEPTH) {
            let depth = DEPTH.min(a.depth - first);
            let a = &a.values[first * padded..][..depth * padded];
            let a = &a[panels.start * PANEL * depth..panels.end * PANEL * depth];
            let mut column = 0;
            while column < columns {
                let left = (columns - column) / S::F32_LANES;
                let b = match rows {
                    Some(_) => b,
                    None => &b[first * stride..],
                };
                let rows = rows.map_or(&[][..], |rows| &rows[first..first + depth]);
                let tiles = Tiles { a, outputs, depth, b, rows, column, stride, add: first > 0 };
                // Four vectors are two pairs: a tile of a single vector waits for its loads.
                let vectors = if left == 4 { 2 } else { left.min(VECTORS) };
                let tall = S::REGISTER_COUNT >= 32 && outputs > PANEL / 2;
                match (vectors, tall, rows.is_empty()) {
                    (1, true, true) => tiles.run::<S, 8, 1, false>(simd, c),
                    (2, true, true) => tiles.run::<S, 8, 2, false>(simd, c),
                    (_, true, true) => tiles.run::<S, 8, 3, false>(simd, c),
                    (1, false, true) => tiles.run::<S, 4, 1, false>(simd, c),
                    (2, false, true) => tiles.run::<S, 4, 2, false>(simd, c),
                    (_, false, true) => tiles.run::<S, 4, 3, false>(simd, c),
                    (1, true, false) => tiles.run::<S, 8, 1, true>(simd, c),
                    (2, true, false) => tiles.run::<S, 8, 2, true>(simd, c),
                    (_, true, false) => tiles.run::<S, 8, 3, true>(simd, c),
                    (1, false, false) => tiles.run::<S, 4, 1, true>(simd, c),
                    (2, false, false) => tiles.run::<S, 4, 2, true>(simd, c),
                    (_, false, false) => tiles.run::<S, 4, 3, true>(simd, c),
                }
                column += vectors * S::F32_LANES;
            }
        }
    }
}

/// The register tiles of some columns, over one pass of the depth.
struct Tiles<'a> {
    a: &'a [f32],
    /// Rows of `c` without padding.
    outputs: usize,
    depth: usize,
    b: &'a [f32],
    /// Where the rows of `b` begin, if not in strides.
    rows: &'a [usize],
    column: usize,
    stride: usize,
    /// Whether there are sums of earlier passes.
    add: bool,
}

impl Tiles<'_> {
    // Loops over arrays, no closures: what the compiler does not inline into the function that
    // has the vector instructions is a call per instruction.
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize, const SHIFTED: bool>(
        self,
        simd: S,
        c: &mut [f32],
    ) {
        let Self { a, outputs, depth, b, rows, column, stride, add } = self;
        let width = VECTORS * S::F32_LANES;
        let panels = a.chunks_exact(depth * PANEL).zip(c.chunks_mut(PANEL * stride));
        for (panel, (a, c)) in panels.enumerate() {
            for part in (0..PANEL).step_by(ROWS) {
                if panel * PANEL + part >= outputs {
                    break;
                }
                let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
                for (k, a) in a.as_chunks::<PANEL>().0.iter().enumerate() {
                    let start = column + if SHIFTED { rows[k] } else { k * stride };
                    let b = S::as_simd_f32s(&b[start..start + width]).0;
                    let mut columns = [simd.splat_f32s(0.0); VECTORS];
                    columns.copy_from_slice(b);
                    for (sums, a) in sums.iter_mut().zip(&a[part..part + ROWS]) {
                        let a = simd.splat_f32s(*a);
                        for (sum, b) in sums.iter_mut().zip(&columns) {
                            *sum = simd.mul_add_e_f32s(a, *b, *sum);
                        }
                    }
                }
                for (c, sums) in c[part * stride..].chunks_exact_mut(stride).zip(sums) {
                    let c = S::as_mut_simd_f32s(&mut c[column..column + width]).0;
                    for (c, sum) in c.iter_mut().zip(sums) {
                        *c = if add { simd.add_f32s(*c, sum) } else { sum };
                    }
                }
            }
        }
    }
}
