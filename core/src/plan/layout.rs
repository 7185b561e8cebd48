//! How a weight is laid out for the kernel that reads it. A backend packs each weight once.

use super::Plan;
use crate::graph::{Param, ParamId};
use crate::tensor::Dtype;

/// An arrangement of a weight's values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Layout {
    /// As in the checkpoint.
    Plain,
    /// `Σ_{u,v} W[o,i,u,v]²` as `[O, I]`, for demodulation.
    TapSquares,
    /// `[g, o / 64, (u·kw + v)·I + i, o % 64]` for group `g`, its `I` input channels and its
    /// output channels `o`, padded with zeros: the rows of one matrix tile lie without gaps.
    Panels {
        /// Blocks of channels that do not see each other.
        groups: usize,
    },
    /// `[g, o / 64, i / 16, u·kw + v, o % 64, i % 16]` for group `g`, its input channels `i` and its
    /// output channels `o`, padded with zeros: matrix units want the channels of an output side by
    /// side, and a workgroup reads a tap of some of them without gaps.
    Slabs {
        /// Blocks of channels that do not see each other.
        groups: usize,
    },
    /// `G·W·Gᵀ` of F(4×4, 3×3) as `[6·row + column, o / 64, i, o % 64]`, padded with zeros.
    Winograd,
}

impl Layout {
    /// Of the layers of [`Linears`](crate::graph::ops::Linears), which demodulate or do not.
    pub const fn of_layers(demodulate: bool) -> Self {
        if demodulate { Self::TapSquares } else { Self::Plain }
    }
}

/// Output channels of a panel: the rows of one matrix tile.
pub const PANEL_ROWS: usize = 64;

/// Input channels of a slab: the depth of one matrix of 16 × 16.
pub const SLAB: usize = 16;

/// The points of F(4×4, 3×3) on a GPU beside 0 and ∞: ±a and ±b. Exact in f32, as is what
/// `kernels/shared/winograd.wgsl` makes of them.
pub const WINOGRAD_POINTS: [f64; 2] = [0.75, 1.5];

/// A weight as a kernel wants it; equal keys are packed and stored once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Weight {
    /// Which parameter.
    pub param: ParamId,
    /// In which order.
    pub layout: Layout,
}

impl Plan {
    /// The element type of a packed weight. Squares of small weights leave the range of f16, and
    /// rounding in the transformed domain costs four times as much accuracy as before it.
    pub fn weight_dtype(&self, weight: Weight) -> Dtype {
        match weight.layout {
            Layout::TapSquares | Layout::Winograd => Dtype::F32,
            Layout::Plain | Layout::Panels { .. } | Layout::Slabs { .. } => {
                if self.graph.param(weight.param).exact { Dtype::F32 } else { self.target.dtype }
            }
        }
    }
}

/// The values of `param` in `layout`.
pub fn pack(param: &Param, layout: Layout) -> Vec<f32> {
    let values = param.to_f32();
    match layout {
        Layout::Plain => values,
        Layout::TapSquares => {
            let taps: usize = param.dims.iter().skip(2).product();
            values.chunks_exact(taps).map(|w| w.iter().map(|v| v * v).sum()).collect()
        }
        Layout::Panels { groups } => panels(&values, &param.dims, groups),
        Layout::Slabs { groups } => slabs(&values, &param.dims, groups),
        Layout::Winograd => winograd(&values, [param.dims[0], param.dims[1]]),
    }
}

fn panels(values: &[f32], dims: &[usize], groups: usize) -> Vec<f32> {
    let (outputs, inputs) = (dims[0] / groups, dims[1]);
    let taps: usize = dims[2..].iter().product();
    let blocks = outputs.div_ceil(PANEL_ROWS);
    let mut packed = vec![0.0; groups * blocks * inputs * taps * PANEL_ROWS];
    for (o, filter) in values.chunks_exact(inputs * taps).enumerate() {
        let (group, o) = (o / outputs, o % outputs);
        let panel = (group * blocks + o / PANEL_ROWS) * inputs * taps;
        for (i, taps_of_input) in filter.chunks_exact(taps).enumerate() {
            for (tap, value) in taps_of_input.iter().enumerate() {
                packed[(panel + tap * inputs + i) * PANEL_ROWS + o % PANEL_ROWS] = *value;
            }
        }
    }
    packed
}

fn slabs(values: &[f32], dims: &[usize], groups: usize) -> Vec<f32> {
    let (outputs, inputs) = (dims[0] / groups, dims[1]);
    let taps: usize = dims[2..].iter().product();
    let (blocks, depths) = (outputs.div_ceil(PANEL_ROWS), inputs.div_ceil(SLAB));
    let mut packed = vec![0.0; groups * blocks * depths * taps * PANEL_ROWS * SLAB];
    for (o, filter) in values.chunks_exact(inputs * taps).enumerate() {
        let (group, o) = (o / outputs, o % outputs);
        let panel = (group * blocks + o / PANEL_ROWS) * depths * taps;
        for (i, taps_of_input) in filter.chunks_exact(taps).enumerate() {
            for (tap, value) in taps_of_input.iter().enumerate() {
                let matrix = (panel + i / SLAB * taps + tap) * PANEL_ROWS;
                packed[(matrix + o % PANEL_ROWS) * SLAB + i % SLAB] = *value;
            }
        }
    }
    packed
}

fn winograd(values: &[f32], [outputs, inputs]: [usize; 2]) -> Vec<f32> {
    // Values from one frequency to the next.
    let stride = outputs.next_multiple_of(PANEL_ROWS) * inputs;
    let mut packed = vec![0.0; 36 * stride];
    let rows = winograd_rows();
    for (index, filter) in values.chunks_exact(9).enumerate() {
        let (o, i) = (index / inputs, index % inputs);
        let first = (o / PANEL_ROWS * inputs + i) * PANEL_ROWS + o % PANEL_ROWS;
        // G·W, then (G·W)·Gᵀ.
        let half = rows.map(|g| {
            [0, 1, 2].map(|v| (0..3).map(|u| g[u] * f64::from(filter[3 * u + v])).sum::<f64>())
        });
        for (row, half) in half.iter().enumerate() {
            for (column, g) in rows.iter().enumerate() {
                let value: f64 = half.iter().zip(g).map(|(a, b)| a * b).sum();
                packed[first + (6 * row + column) * stride] = value as f32;
            }
        }
    }
    packed
}

/// G: for each point `p` the powers `1, p, p²` over the product of its distances to the others.
fn winograd_rows() -> [[f64; 3]; 6] {
    let [a, b] = WINOGRAD_POINTS.map(|p| p * p);
    let row = |p: f64, product: f64| [1.0 / product, p / product, p * p / product];
    let [pa, pb] = WINOGRAD_POINTS;
    let (na, nb) = (2.0 * a * (a - b), 2.0 * b * (b - a));
    [row(0.0, a * b), row(pa, na), row(-pa, na), row(pb, nb), row(-pb, nb), [0.0, 0.0, 1.0]]
}

/// The number of values that [`pack`] yields.
pub fn packed_len(param: &Param, layout: Layout) -> usize {
    match layout {
        Layout::Plain => param.len(),
        Layout::TapSquares => param.dims.iter().take(2).product(),
        Layout::Panels { groups } => {
            let outputs = (param.dims[0] / groups).next_multiple_of(PANEL_ROWS);
            groups * outputs * param.dims[1..].iter().product::<usize>()
        }
        Layout::Slabs { groups } => {
            let outputs = (param.dims[0] / groups).next_multiple_of(PANEL_ROWS);
            let inputs = param.dims[1].next_multiple_of(SLAB);
            groups * outputs * inputs * param.dims[2..].iter().product::<usize>()
        }
        Layout::Winograd => 36 * param.dims[0].next_multiple_of(PANEL_ROWS) * param.dims[1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_hold_every_value_once() {
        // Two groups of 70 outputs from 18 inputs by two taps: two panels, two slabs.
        let dims = [140, 18, 1, 2];
        let values: Vec<f32> = (1..=140 * 18 * 2).map(|v| v as f32).collect();
        let param = Param::from_values("w", dims.to_vec(), &values);
        let layout = Layout::Slabs { groups: 2 };
        let packed = pack(&param, layout);
        assert_eq!(packed.len(), packed_len(&param, layout));
        assert_eq!(packed.len(), 2 * 128 * 32 * 2);
        for (at, &value) in values.iter().enumerate() {
            let (o, i, tap) = (at / 36, at / 2 % 18, at % 2);
            let (group, o) = (o / 70, o % 70);
            let matrix = ((group * 2 + o / 64) * 2 + i / 16) * 2 + tap;
            assert_eq!(packed[(matrix * 64 + o % 64) * 16 + i % 16], value);
        }
        let zeros = packed.iter().filter(|&&v| v == 0.0).count();
        assert_eq!(zeros, packed.len() - values.len());
    }
}
