//! The host side of every kernel: a step becomes dispatches. Pure functions.

mod ada_in;
mod adaptive_avg_pool;
mod arg_max;
mod attention;
pub mod block_luminance;
mod constant;
mod conv_depthwise;
mod conv_direct;
mod conv_gemm;
#[cfg(test)]
mod conv_tests;
mod conv_transpose;
mod conv_winograd;
mod cooperative;
mod demodulate;
mod embedding;
pub mod grain_histogram;
mod group_norm;
pub mod image_to_tensor;
mod layer_norm;
mod linear;
pub mod match_colours;
mod max_pool;
mod multi_path_conv;
pub mod paste;
mod pixel_norm;
mod pixel_shuffle;
mod pixel_unshuffle;
mod pointwise;
mod reflect_pad;
mod resize;
pub mod tensor_to_image;
mod upfirdn2d;
pub mod warp_affine;
mod work;

use std::collections::BTreeSet;

use super::{Binding, Dispatch, Shader};
use crate::graph::ParamId;
use crate::plan::{Kernel, Plan, Step, View, Weight};
use crate::tensor::{Dtype, Shape};
use crate::{Error, Result};

/// A launch outside of any plan: of a kernel that works on a photo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which pipeline.
    pub shader: Shader,
    /// The uniform block, word by word.
    pub params: Vec<u32>,
    /// Grid.
    pub workgroups: [u32; 3],
}

impl Call {
    /// Invocations per workgroup.
    const WORKGROUP: usize = 64;

    /// One of `invocations` at least, with `WORKGROUP` and further numbers defined.
    fn new(
        kernel: &'static str,
        defines: &[(&'static str, usize)],
        params: Vec<u32>,
        invocations: usize,
    ) -> Self {
        let workgroup = ("WORKGROUP", Self::WORKGROUP);
        let mut defines: Vec<_> = defines.iter().copied().chain([workgroup]).collect();
        defines.sort_unstable();
        let defines = defines.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        let workgroups = grid(invocations.div_ceil(Self::WORKGROUP));
        Self { shader: Shader { kernel, defines }, params, workgroups }
    }
}

/// The largest number of workgroups in one dimension of a grid (WebGPU's default limit).
const MAX_WORKGROUPS: usize = 65_535;

/// Storage buffers that one kernel may bind (WebGPU's default limit).
pub(super) const MAX_STORAGE_BINDINGS: usize = 8;

/// The launches that execute `step`, in order.
///
/// # Errors
/// [`Error::Device`] when its kernel cannot compute what the step asks for.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let dispatches = match step.kernel {
        Kernel::ConvDirect => conv_direct::record(step, plan)?,
        Kernel::ConvDepthwise => conv_depthwise::record(step, plan)?,
        Kernel::ConvGemm => conv_gemm::record(step, plan)?,
        Kernel::ConvTranspose => conv_transpose::record(step, plan)?,
        Kernel::ConvWinograd => conv_winograd::record(step, plan)?,
        Kernel::MultiPathConv => multi_path_conv::record(step, plan)?,
        Kernel::Linear => linear::record(step, plan)?,
        Kernel::Demodulate => demodulate::record(step, plan)?,
        Kernel::PixelNorm => pixel_norm::record(step, plan)?,
        Kernel::GroupNorm => group_norm::record(step, plan)?,
        Kernel::LayerNorm => layer_norm::record(step, plan)?,
        Kernel::AdaIn => ada_in::record(step, plan)?,
        Kernel::Attention => attention::record(step, plan)?,
        Kernel::ArgMax => arg_max::record(step, plan)?,
        Kernel::Embedding => embedding::record(step, plan)?,
        Kernel::Upfirdn2d => upfirdn2d::record(step, plan)?,
        Kernel::Resize => resize::record(step, plan)?,
        Kernel::PixelShuffle => pixel_shuffle::record(step, plan)?,
        Kernel::PixelUnshuffle => pixel_unshuffle::record(step, plan)?,
        Kernel::Pointwise => pointwise::record(step, plan)?,
        Kernel::Constant => constant::record(step, plan)?,
        Kernel::MaxPool => max_pool::record(step, plan)?,
        Kernel::AdaptiveAvgPool => adaptive_avg_pool::record(step, plan)?,
        Kernel::ReflectPad => reflect_pad::record(step, plan)?,
    };
    for dispatch in &dispatches {
        if dispatch.bindings.len() > MAX_STORAGE_BINDINGS {
            let needed = format!("it binds more than {MAX_STORAGE_BINDINGS} buffers");
            return Err(misfit(step, &needed));
        }
    }
    Ok(dispatches)
}

/// How many tiles [`Step::tile`] chooses from; 1 where there is no choice, as where depths are shared.
///
/// # Errors
/// As [`record`].
pub fn tiles(step: &Step, plan: &Plan) -> Result<usize> {
    let family = match step.kernel {
        Kernel::ConvGemm | Kernel::ConvTranspose => conv_gemm::tiles(&plan.target),
        Kernel::MultiPathConv if plan.target.cooperative.is_some() => {
            conv_gemm::tiles(&plan.target)
        }
        _ => return Ok(1),
    };
    let mut variants = BTreeSet::new();
    for tile in 0..family {
        let dispatches = record(&Step { tile: Some(tile), ..step.clone() }, plan)?;
        variants.insert(dispatches.into_iter().map(|d| d.shader).collect::<Vec<_>>());
    }
    Ok(if variants.len() > 1 { family } else { 1 })
}

/// A step that its kernel cannot execute: a mistake of the planner.
pub(super) fn misfit(step: &Step, what: &str) -> Error {
    Error::Internal(format!("step {} cannot run on the GPU: {what}", step.name))
}

/// The input of a step that must have one.
pub(super) fn input(step: &Step) -> Result<View> {
    step.input.ok_or_else(|| misfit(step, "it has no input"))
}

/// A grid of at least `workgroups`, folded over two dimensions: kernels number them with
/// `workgroup_index` of `kernels/shared/grid.wgsl` and ignore those past the end.
pub fn grid(workgroups: usize) -> [u32; 3] {
    let rows = workgroups.div_ceil(MAX_WORKGROUPS).max(1);
    [workgroups.div_ceil(rows).max(1) as u32, rows as u32, 1]
}

/// Workgroups of `kernels/shared/pixel_columns.wgsl` for the pixels of `shape`.
pub(super) fn pixel_blocks(shape: Shape) -> usize {
    const PIXELS: usize = 16;
    shape.n * shape.plane().div_ceil(PIXELS)
}

/// The type of an element in WGSL.
pub fn wgsl(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "f32",
        Dtype::F16 => "f16",
    }
}

/// Bytes of its storage's block that a view binds: from its first byte, rounded down to the
/// alignment of bindings, to its last, rounded up to a whole word.
pub fn bound_bytes(plan: &Plan, view: &View) -> std::ops::Range<usize> {
    let storage = &plan.storages[view.storage.index()];
    let size = storage.dtype.size();
    let first = storage.offset + view.offset * size;
    let end = first + view.span() * size;
    first / plan.target.alignment * plan.target.alignment..end.next_multiple_of(4)
}

/// A dispatch under construction. Bindings and parameters stand in the order of the calls, which
/// is the order of the kernel's `@binding(_)` and of the fields of its `Params`.
pub struct Builder<'a> {
    plan: &'a Plan,
    shader: Shader,
    bindings: Vec<Binding>,
    params: Vec<u32>,
}

impl<'a> Builder<'a> {
    /// A launch of `kernels/{kernel}.wgsl`.
    pub fn new(plan: &'a Plan, kernel: &'static str) -> Self {
        let shader = Shader { kernel, defines: Vec::new() };
        Self { plan, shader, bindings: Vec::new(), params: Vec::new() }
    }

    /// `#if name == value` and `${name}`.
    pub fn define(&mut self, name: &'static str, value: impl ToString) {
        self.shader.defines.push((name, value.to_string()));
    }

    /// `#if name`.
    pub fn flag(&mut self, name: &'static str, set: bool) {
        if set {
            self.define(name, 1);
        }
    }

    /// A `u32` field.
    pub fn uint(&mut self, value: usize) {
        // Shapes have fewer than 2³¹ elements (graph/shape.rs).
        self.params.push(value as u32);
    }

    /// An `i32` field.
    pub fn int(&mut self, value: i32) {
        self.params.push(value as u32);
    }

    /// An `f32` field.
    pub fn float(&mut self, value: f32) {
        self.params.push(value.to_bits());
    }

    /// Binds an intermediate; `${dtype}` is its element type. Two fields: `offset`, the elements
    /// of the binding before the view, and `batch_stride`.
    pub fn view(&mut self, dtype: &'static str, view: View) {
        let storage = &self.plan.storages[view.storage.index()];
        let size = storage.dtype.size();
        let first = storage.offset + view.offset * size;
        let before = first - bound_bytes(self.plan, &view).start;
        self.define(dtype, wgsl(storage.dtype));
        self.uint(before / size);
        self.uint(view.batch_stride);
        self.bindings.push(Binding::View(view));
    }

    /// [`view`](Self::view) and the flag `dtype` where there is one, two zeros otherwise.
    pub fn optional_view(&mut self, dtype: &'static str, view: Option<View>) {
        match view {
            Some(view) => self.view(dtype, view),
            None => self.params.extend([0, 0]),
        }
    }

    /// Binds a weight; `${W}` is its element type.
    pub fn weight(&mut self, weight: Weight) {
        self.define("W", wgsl(super::schema::weight_dtype(self.plan, weight)));
        self.bindings.push(Binding::Weight(weight));
    }

    /// Binds parameters as one array of f32.
    pub fn values(&mut self, params: Vec<ParamId>) {
        self.bindings.push(Binding::Values(params));
    }

    /// Binds something that is no tensor.
    pub fn bind(&mut self, binding: Binding) {
        self.bindings.push(binding);
    }

    /// The dispatch, on a folded grid.
    pub fn finish(mut self, workgroups: usize) -> Dispatch {
        self.shader.defines.sort();
        Dispatch {
            shader: self.shader,
            bindings: self.bindings,
            params: self.params,
            workgroups: grid(workgroups),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_fold() {
        assert_eq!(grid(0), [1, 1, 1]);
        assert_eq!(grid(65_535), [65_535, 1, 1]);
        assert_eq!(grid(65_536), [32_768, 2, 1]);
        let [x, y, _] = grid(1_000_003);
        assert!(x <= 65_535 && x * y >= 1_000_003 && x * y < 1_000_003 + y);
    }
}
