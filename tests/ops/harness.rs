//! Random cases: a graph of one op with a random epilogue, run by every executor and compared with
//! the twins.

use std::sync::Arc;

use half::f16;
use pentimento::graph::{Activation, Graph, NodeId, Op, Param, ParamId, ops};
use pentimento::plan::Variant;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::support::{self, Executor, noise, relative_error};

/// Largest relative L2 error of an f32 kernel.
pub const F32: f64 = 1e-5;
/// The same in f16.
pub const F16: f64 = 2e-3;

/// A graph under construction with random inputs and parameters.
pub struct Case {
    pub graph: Graph,
    inputs: Vec<Vec<f32>>,
    seed: u64,
}

impl Case {
    pub fn new(seed: u64) -> Self {
        Self { graph: Graph::new(), inputs: Vec::new(), seed }
    }

    /// Values that f16 holds exactly: what is compared is a kernel's arithmetic, not how its inputs
    /// are stored, whose rounding a sum that nearly cancels would show many times larger.
    fn values(&mut self, len: usize, scale: f32) -> Vec<f32> {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        noise(self.seed, len).into_iter().map(|v| f16::from_f32(v * scale).to_f32()).collect()
    }

    pub fn input(&mut self, shape: Shape) -> NodeId {
        let values = self.values(shape.len(), 1.0);
        self.input_of(shape, values)
    }

    /// An input of given values.
    pub fn input_of(&mut self, shape: Shape, values: Vec<f32>) -> NodeId {
        self.inputs.push(values);
        self.graph.add_input(&format!("input{}", self.inputs.len()), shape)
    }

    /// A parameter scaled so that a sum over all but its first dimension stays near 1.
    pub fn weight(&mut self, dims: &[usize]) -> ParamId {
        let fan_in: usize = dims[1..].iter().product();
        let values = self.values(dims.iter().product(), 1.0 / (fan_in as f32).sqrt());
        self.graph.add_param(Param::from_values("weight", dims.to_vec(), &values))
    }

    pub fn vector(&mut self, len: usize) -> ParamId {
        let values = self.values(len, 0.5);
        self.graph.add_param(Param::from_values("vector", vec![len], &values))
    }

    pub fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
        self.graph.add(op, inputs).expect("a sound case")
    }

    /// Appends the parts of an epilogue that `parts` names.
    pub fn epilogue(&mut self, mut y: NodeId, parts: &Parts) -> NodeId {
        let shape = self.graph.shape(y);
        if parts.gain {
            y = self.add(ops::Scale(1.3), &[y]);
        }
        if parts.noise {
            let values = self.values(shape.plane(), 1.0);
            let dims = vec![1, 1, shape.h, shape.w];
            let noise = self.graph.add_param(Param::from_values("noise", dims, &values));
            y = self.add(ops::Noise { noise, strength: 0.3 }, &[y]);
        }
        if parts.bias {
            let bias = self.vector(shape.c);
            y = self.add(ops::Bias(bias), &[y]);
        }
        let activation = match parts.activation {
            0 => None,
            1 => Some(Activation::LeakyRelu(0.2)),
            2 => Some(Activation::Prelu(self.vector(shape.c))),
            3 => Some(Activation::Silu),
            4 => Some(Activation::Sigmoid),
            5 => Some(Activation::Tanh),
            6 => Some(Activation::Gelu),
            7 => Some(Activation::Mish),
            _ => Some(Activation::Clamp(-0.7, 0.9)),
        };
        if let Some(activation) = activation {
            y = self.add(activation, &[y]);
            y = self.add(ops::Scale(1.2), &[y]);
        }
        if parts.sft {
            let first_channel = shape.c / 2;
            let condition = shape.with_channels(shape.c - first_channel);
            let scale = self.input(condition);
            let shift = self.input(condition);
            y = self.add(ops::Sft { first_channel }, &[y, scale, shift]);
        }
        if parts.residual {
            let residual = self.input(shape);
            y = self.add(ops::Add, &[y, residual]);
            y = self.add(ops::Scale(0.7), &[y]);
        }
        y
    }

    /// Runs the case by every executor; all must agree with the twins, and a kernel that is meant
    /// must have run: where a device has none of `kernels`, nothing is to be compared.
    pub fn check(self, output: NodeId, kernels: &[&str]) -> Result<(), TestCaseError> {
        self.check_by(&[Executor::Cpu, Executor::Gpu, Executor::GpuF16], output, kernels)
    }

    /// As [`check`](Self::check) in f32 only, for what depends on the last bits of its inputs.
    pub fn check_f32(self, output: NodeId, kernels: &[&str]) -> Result<(), TestCaseError> {
        self.check_by(&[Executor::Cpu, Executor::Gpu], output, kernels)
    }

    /// The same by some executors.
    pub fn check_by(
        mut self,
        executors: &[Executor],
        output: NodeId,
        kernels: &[&str],
    ) -> Result<(), TestCaseError> {
        self.graph.set_output(output);
        let graph = Arc::new(self.graph);
        let inputs: Vec<&[f32]> = self.inputs.iter().map(Vec::as_slice).collect();
        let expected = support::run(&graph, Executor::Twins, &inputs).expect("always there");
        let [gpu, cpu] = Variant::NAMES;
        for &executor in executors {
            let there = if executor == Executor::Cpu { cpu } else { gpu };
            let kernels: Vec<&str> =
                kernels.iter().copied().filter(|kernel| there.contains(kernel)).collect();
            let Some(mut plan) = support::plan(&graph, executor) else { continue };
            // Inputs and outputs as within a network.
            plan.arrange_all_but(&[]);
            let by_matrices = plan.target.cooperative.is_some();
            match kernels[..] {
                [] => continue,
                // Products by cooperative matrices take its place, or need them.
                ["conv_winograd"] if by_matrices => continue,
                ["conv_gemm_cooperative" | "conv_patch_cooperative"] if !by_matrices => continue,
                // The general kernels run what the special ones would have taken.
                [kernel @ ("conv_direct" | "conv_gemm" | "conv_patch_cooperative")] => {
                    for index in 0..plan.steps.len() {
                        if plan.steps[index].convolution().is_ok_and(|conv| !conv.transposed) {
                            plan.force(index, kernel).expect("a convolution");
                        }
                    }
                }
                _ => {}
            }
            let ran = kernels.iter().any(|kernel| plan.count(kernel) > 0);
            prop_assert!(ran, "{executor:?} did not choose {kernels:?} in\n{plan}");
            let actual = support::execute(plan, executor, &inputs);
            let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
            let error = relative_error(&actual[0], &expected[0]);
            prop_assert!(error <= tolerance, "{executor:?} {kernels:?}: {error:.2e}\n{graph}");
        }
        Ok(())
    }
}

/// Which parts of an epilogue a case has.
#[derive(Clone, Debug)]
pub struct Parts {
    pub gain: bool,
    pub noise: bool,
    pub bias: bool,
    pub activation: u8,
    pub sft: bool,
    pub residual: bool,
}

pub fn parts() -> impl Strategy<Value = Parts> {
    any::<[bool; 5]>().prop_flat_map(|[gain, noise, bias, sft, residual]| {
        (0u8..9).prop_map(move |activation| Parts { gain, noise, bias, activation, sft, residual })
    })
}

/// Few cases: each compiles kernels of its own.
pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20, ..Default::default() }
}
