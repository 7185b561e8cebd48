//! The matrix product under all fast convolutions: packed weights times a block of columns.
//!
//! `c[m,j] = Σ_k a[m,k] · b[k,j]`. A register tile of 4 rows × 2 vectors keeps eight sums in
//! flight, what the latency of two FMA units asks for, and leaves registers for the operands.
//! `a` is packed once, in panels of 4 rows; `b` is read in place.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Rows of a panel and of a register tile.
pub const PANEL: usize = 4;
/// Vectors of a register tile.
const VECTORS: usize = 2;
/// Depth of a pass: `DEPTH × VECTORS` vectors of `b` stay in a 32 KiB cache for all panels.
const DEPTH: usize = 192;
/// f32 in a cache line.
const LINE: usize = 16;

/// A matrix `[rows, depth]` in panels `[⌈rows/4⌉, depth, 4]`, padded with zeros.
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
        let mut panels = vec![0.0; rows.next_multiple_of(PANEL) * depth];
        for (row, values) in values.chunks_exact(depth.max(1)).take(rows).enumerate() {
            let panel = &mut panels[row / PANEL * PANEL * depth..][..PANEL * depth];
            for (to, v) in panel[row % PANEL..].iter_mut().step_by(PANEL).zip(values) {
                *to = *v;
            }
        }
        Self { rows, depth, values: panels }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        size_of_val(&self.values[..])
    }
}

/// Columns of a register tile on this machine; blocks of columns are padded to it.
pub fn tile_columns() -> usize {
    struct Columns;
    impl WithSimd for Columns {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            VECTORS * S::F32_LANES
        }
    }
    Arch::new().dispatch(Columns)
}

/// Where the columns of a block stand in memory: `columns` of them, a multiple of
/// [`tile_columns`], in rows that are `stride` apart. The stride is an odd number of cache lines,
/// so that the rows of a tile spread over all sets of the cache.
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
        let columns = columns.next_multiple_of(tile_columns());
        Self { columns, stride: (columns.div_ceil(LINE) | 1) * LINE }
    }

    /// Elements of a block of `rows` rows, one row more than that: tiles read it in strides.
    pub fn len(self, rows: usize) -> usize {
        (rows + 1) * self.stride
    }
}

/// `c = a[panels] · b`; `b` and `c` are laid out by `block`. Rows of `c` come padded to panels.
pub fn multiply(a: &Panels, panels: Range<usize>, b: &[f32], block: Block, c: &mut [f32]) {
    let depth = a.depth;
    if depth == 0 {
        return c.fill(0.0);
    }
    let a = &a.values[panels.start * PANEL * depth..panels.end * PANEL * depth];
    Arch::new().dispatch(Multiply { a, depth, b, block, c });
}

struct Multiply<'a> {
    a: &'a [f32],
    depth: usize,
    b: &'a [f32],
    block: Block,
    c: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tile = VECTORS * S::F32_LANES;
        let stride = self.block.stride;
        for first in (0..self.depth).step_by(DEPTH) {
            let depths = first..(first + DEPTH).min(self.depth);
            for column in (0..self.block.columns).step_by(tile) {
                let b = &self.b[first * stride + column..];
                let panels = self.a.chunks_exact(self.depth * PANEL);
                for (a, c) in panels.zip(self.c.chunks_exact_mut(PANEL * stride)) {
                    let a = a[depths.start * PANEL..depths.end * PANEL].as_chunks::<PANEL>().0;
                    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; PANEL];
                    for (a, b) in a.iter().zip(b.chunks_exact(stride)) {
                        let b = S::as_simd_f32s(&b[..tile]).0;
                        let b: [S::f32s; VECTORS] = std::array::from_fn(|j| b[j]);
                        for (sums, a) in sums.iter_mut().zip(a) {
                            let a = simd.splat_f32s(*a);
                            for (sum, b) in sums.iter_mut().zip(b) {
                                *sum = simd.mul_add_e_f32s(a, b, *sum);
                            }
                        }
                    }
                    for (c, sums) in c.chunks_exact_mut(stride).zip(sums) {
                        let c = S::as_mut_simd_f32s(&mut c[column..column + tile]).0;
                        for (c, sum) in c.iter_mut().zip(sums) {
                            *c = if first == 0 { sum } else { simd.add_f32s(*c, sum) };
                        }
                    }
                }
            }
        }
    }
}
