//! Launches under construction: what the host side of every kernel makes its dispatches with.

use super::params::Params;
use super::{Binding, Dispatch, Shader};
use crate::graph::ParamId;
use crate::plan::{Plan, View, Weight};
use crate::tensor::{Dtype, Shape};

/// The largest number of workgroups in one dimension of a grid (WebGPU's default limit).
const MAX_WORKGROUPS: usize = 65_535;

/// Storage buffers that one kernel may bind (WebGPU's default limit).
pub const MAX_STORAGE_BINDINGS: usize = 8;

/// A grid of at least `workgroups`, folded over two dimensions: kernels number them with
/// `workgroup_index` of `kernels/shared/grid.wgsl` and ignore those past the end.
pub fn grid(workgroups: usize) -> [u32; 3] {
    let rows = workgroups.div_ceil(MAX_WORKGROUPS).max(1);
    [workgroups.div_ceil(rows).max(1) as u32, rows as u32, 1]
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
    params: Params,
}

impl<'a> Builder<'a> {
    /// A launch of `kernels/{kernel}.wgsl`.
    pub fn new(plan: &'a Plan, kernel: &'static str) -> Self {
        let shader = Shader { kernel, defines: Vec::new() };
        Self { plan, shader, bindings: Vec::new(), params: Params::default() }
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
    pub fn uint(&mut self, name: &'static str, value: usize) {
        self.params.uint(name, value);
    }

    /// An `i32` field.
    pub fn int(&mut self, name: &'static str, value: i32) {
        self.params.int(name, value);
    }

    /// An `f32` field.
    pub fn float(&mut self, name: &'static str, value: f32) {
        self.params.float(name, value);
    }

    /// Binds an intermediate; `${dtype}` is its element type. Two fields, after `dtype` in small
    /// letters: `x_offset`, the elements of the binding before the view, and `x_batch_stride`.
    pub fn view(&mut self, dtype: &'static str, view: View) {
        let storage = &self.plan.storages[view.storage.index()];
        let size = storage.dtype.size();
        let first = storage.offset + view.offset * size;
        let before = first - bound_bytes(self.plan, &view).start;
        self.define(dtype, wgsl(storage.dtype));
        self.view_fields(dtype, before / size, view.batch_stride);
        self.bindings.push(Binding::View(view));
    }

    /// [`view`](Self::view) and the flag `dtype` where there is one, two zeros otherwise.
    pub fn optional_view(&mut self, dtype: &'static str, view: Option<View>) {
        match view {
            Some(view) => self.view(dtype, view),
            None => self.view_fields(dtype, 0, 0),
        }
    }

    fn view_fields(&mut self, dtype: &'static str, offset: usize, batch_stride: usize) {
        let name = dtype.to_ascii_lowercase();
        self.params.uint(format!("{name}_offset"), offset);
        self.params.uint(format!("{name}_batch_stride"), batch_stride);
    }

    /// Defines the tile of `kernels/shared/tile.wgsl`.
    pub fn tile(&mut self, [rows, columns]: [usize; 2], depth: usize) {
        self.define("TILE_ROWS", rows);
        self.define("TILE_COLUMNS", columns);
        self.define("DEPTH", depth);
    }

    /// Defines how `kernels/shared/pixel_columns.wgsl` divides the pixels of `shape`, and returns the
    /// number of its workgroups.
    pub fn pixel_columns(&mut self, shape: Shape) -> usize {
        const PIXELS: usize = 16;
        const SHARES: usize = 16;
        self.define("PIXELS", PIXELS);
        self.define("SHARES", SHARES);
        shape.n * shape.plane().div_ceil(PIXELS)
    }

    /// Binds a weight; `${W}` is its element type.
    pub fn weight(&mut self, weight: Weight) {
        self.weights(vec![weight]);
    }

    /// Binds weights of one type as one array; `${W}` is its element type.
    pub fn weights(&mut self, weights: Vec<Weight>) {
        if let Some(first) = weights.first() {
            self.define("W", wgsl(self.plan.weight_dtype(*first)));
        }
        self.bindings.push(Binding::Weights(weights));
    }

    /// Binds parameters as one array of f32.
    pub fn values(&mut self, params: Vec<ParamId>) {
        self.bindings.push(Binding::Values(params));
    }

    /// Binds something that is not a tensor.
    pub fn bind(&mut self, binding: Binding) {
        self.bindings.push(binding);
    }

    /// The dispatch, on a folded grid.
    pub fn finish(mut self, workgroups: usize) -> Dispatch {
        self.shader.defines.sort();
        // A view defines its name, too: `SHIFT` is the type of the epilogue's shift.
        debug_assert!(
            self.shader.defines.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0] == pair[1]),
            "{}: two definitions of one name in {:?}",
            self.shader.kernel,
            self.shader.defines
        );
        Dispatch {
            shader: self.shader,
            bindings: self.bindings,
            params: self.params,
            workgroups: grid(workgroups),
        }
    }
}

/// A launch outside of any plan: of a kernel that works on a photo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which pipeline.
    pub shader: Shader,
    /// The uniform block.
    pub params: Params,
    /// Grid.
    pub workgroups: [u32; 3],
}

impl Call {
    /// Invocations per workgroup.
    pub(super) const WORKGROUP: usize = 64;

    /// One of `invocations` at least, with `WORKGROUP` and further numbers defined.
    pub fn new(
        kernel: &'static str,
        defines: &[(&'static str, usize)],
        params: Params,
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
