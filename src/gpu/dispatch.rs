//! Kernel launches as plain data: what [`ops`](super::ops) record and the executor replays.

use super::params::Params;
use crate::graph::ParamId;
use crate::plan::{View, Weight};

/// One variant of a kernel file: its name and the values that its `#if` and `${…}` see.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Shader {
    /// `kernels/{kernel}.wgsl`
    pub kernel: &'static str,
    /// Sorted by name.
    pub defines: Vec<(&'static str, String)>,
}

/// A binding of a dispatch, in the order of the kernel's `@binding(_)` after the parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Binding {
    /// An intermediate. The kernel adds the element offset that [`Dispatch::params`] gives.
    View(View),
    /// Packed weights of one type, one after the other without gaps, in the plan's dtype
    /// ([`Layout::TapSquares`](crate::plan::Layout) in f32).
    Weights(Vec<Weight>),
    /// Parameters in f32, one after the other without gaps: bias, slopes, noise.
    Values(Vec<ParamId>),
    /// The bytes of the picture that goes in.
    PictureIn,
    /// The bytes of the picture that comes out.
    PictureOut,
    /// A word that is not 0 after a value was not finite.
    NonFinite,
}

/// One kernel launch.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Which pipeline.
    pub shader: Shader,
    /// Bindings 1, 2, …; binding 0 holds `params`.
    pub bindings: Vec<Binding>,
    /// The uniform block.
    pub params: Params,
    /// Grid.
    pub workgroups: [u32; 3],
}
