//! How a weight is laid out for the kernel that reads it. A backend packs each weight once.

use crate::graph::{Param, ParamId};

/// An arrangement of a weight's values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Layout {
    /// As in the checkpoint.
    Plain,
    /// `Σ_{u,v} W[o,i,u,v]²` as `[O, I]`, for demodulation.
    TapSquares,
}

/// A weight as a kernel wants it; equal keys are packed and stored once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Weight {
    /// Which parameter.
    pub param: ParamId,
    /// In which order.
    pub layout: Layout,
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
    }
}

/// The number of values that [`pack`] yields.
pub fn packed_len(param: &Param, layout: Layout) -> usize {
    match layout {
        Layout::Plain => param.len(),
        Layout::TapSquares => param.dims.iter().take(2).product(),
    }
}
