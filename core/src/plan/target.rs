//! The facts that planning needs of a device. Plain data, so that plans are tested without one.

use pulp::{Arch, Simd, WithSimd};

use super::Rates;
use crate::tensor::Dtype;

/// Who executes a plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Backend {
    /// Threads of this process.
    Cpu,
    /// A GPU.
    Gpu,
}

/// Products of square matrices that a subgroup computes together: f16 factors, f32 sums.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cooperative {
    /// Rows and columns of each matrix: 8 or 16.
    pub side: usize,
    /// Lanes of a subgroup, the most where they vary.
    pub lanes: usize,
    /// The fewest where they vary.
    pub narrowest: usize,
}

/// The device that a plan is made for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who executes.
    pub backend: Backend,
    /// How activations with more than one pixel, and weights, are stored. Vectors (styles,
    /// latents, demodulation factors) and scratch are always f32.
    pub dtype: Dtype,
    /// Largest binding, in bytes; no storage exceeds it.
    pub max_binding: usize,
    /// Largest buffer, in bytes; no block of the arena exceeds it.
    pub max_buffer: usize,
    /// Alignment of storages, in bytes.
    pub alignment: usize,
    /// Bytes of workgroup memory.
    pub workgroup_memory: usize,
    /// Invocations of a workgroup.
    pub max_invocations: usize,
    /// f32 lanes of a CPU's vectors.
    pub vector_lanes: usize,
    /// Whether values of f16 lie by blocks of channels where that [can be done](super::View::blocked):
    /// matrix units want the channels of a pixel side by side.
    pub blocks: bool,
    /// Cooperative matrices, where the device has them and they may be used.
    pub cooperative: Option<Cooperative>,
    /// A limit on arena plus weights, in bytes.
    pub memory_budget: Option<usize>,
    /// By what times are predicted and tiles are chosen; `None` where nobody measured.
    pub rates: Option<Rates>,
}

/// f32 lanes of a vector on this machine.
pub fn vector_lanes() -> usize {
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

impl Target {
    /// The CPU executor.
    pub fn cpu() -> Self {
        Self {
            backend: Backend::Cpu,
            dtype: Dtype::F32,
            max_binding: isize::MAX as usize,
            max_buffer: isize::MAX as usize,
            alignment: 64,
            workgroup_memory: 0,
            max_invocations: 1,
            vector_lanes: vector_lanes(),
            blocks: false,
            cooperative: None,
            memory_budget: None,
            rates: None,
        }
    }

    /// A GPU that is known by its name, as its driver presents it, in f16 or f32; it need not be
    /// there. `None` for others.
    pub fn known(name: &str, dtype: Dtype) -> Option<Self> {
        let matrices = Cooperative { side: 16, lanes: 32, narrowest: 32 };
        Some(Self {
            dtype,
            max_binding: usize::try_from(4u64 << 30).unwrap_or(usize::MAX) / 4 * 4,
            max_buffer: usize::try_from(4u64 << 30).unwrap_or(usize::MAX),
            workgroup_memory: 48 << 10,
            max_invocations: 1024,
            blocks: dtype == Dtype::F16,
            cooperative: (dtype == Dtype::F16).then_some(matrices),
            rates: Some(Rates::known(&name.to_uppercase())?),
            ..Self::webgpu_defaults()
        })
    }

    /// A GPU with WebGPU's default limits.
    pub fn webgpu_defaults() -> Self {
        Self {
            backend: Backend::Gpu,
            dtype: Dtype::F32,
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            alignment: 256,
            workgroup_memory: 16 << 10,
            max_invocations: 256,
            vector_lanes: 1,
            blocks: false,
            cooperative: None,
            memory_budget: None,
            rates: None,
        }
    }
}
