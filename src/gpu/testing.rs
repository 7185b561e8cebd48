//! What the tests of this folder share: a device, random tensors, and a comparison with the twins.

mod cases;
#[cfg(feature = "cli")]
mod contract;
#[cfg(feature = "cli")]
mod translations;

use std::sync::{Arc, OnceLock};

use super::{Device, DeviceOptions, Executor};
use crate::cpu;
use crate::graph::{Graph, Param, ParamId};
use crate::plan::{Plan, Target};
use crate::skipped::skip;
use crate::tensor::Dtype;

/// The device of all tests, any will do; none where the machine has none.
pub fn device() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let options = DeviceOptions { allow_software: true, ..Default::default() };
    let open = || {
        let opened = Device::open_blocking(&options);
        opened.map_err(|error| skip(format_args!("what GPUs compute: {error}"))).ok()
    };
    DEVICE.get_or_init(open).as_ref()
}

/// `len` values in -1..1, the same ones for the same `seed`.
pub fn random(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// A random parameter of `graph`.
pub fn param(graph: &mut Graph, dims: &[usize]) -> ParamId {
    let seed = graph.params().len() as u32 + 100;
    let values = random(seed, dims.iter().product());
    graph.add_param(Param::from_values(format!("p{seed}"), dims.to_vec(), &values))
}

/// A plan of `graph` whose convolutions run on kernels of this folder.
pub fn plan(graph: Graph, target: Target) -> Plan {
    let mut plan = Plan::new(Arc::new(graph), target).unwrap();
    for index in 0..plan.steps.len() {
        if matches!(plan.steps[index].variant.name(), "conv_gemm" | "conv_winograd") {
            plan.force(index, "conv_direct").unwrap();
        }
    }
    plan
}

/// Compares the outputs of `build`'s graph on the device, in f32 and f16, with the twins.
pub fn check(build: impl Fn() -> Graph) {
    let Some(device) = device() else { return };
    for (dtype, blocks) in [(Dtype::F32, false), (Dtype::F16, false), (Dtype::F16, true)] {
        let target = Target { blocks, ..device.target(dtype) };
        if target.dtype != dtype {
            continue;
        }
        let graph = build();
        let inputs: Vec<_> = (0..)
            .zip(graph.inputs())
            .map(|(seed, &id)| random(seed, graph.shape(id).len()))
            .collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let twins = Plan::new(Arc::new(graph.clone()), Target::cpu()).unwrap();
        let mut twins = cpu::Executor::reference(Arc::new(twins)).unwrap();
        let expected = twins.run(&inputs).unwrap();
        let plan = Arc::new(plan(graph, target));
        let mut executor = Executor::new_blocking(device, plan).unwrap();
        let outputs = executor.run_blocking(&inputs).unwrap();
        let bound = if dtype == Dtype::F32 { 1e-5 } else { 2e-3 };
        for (output, expected) in outputs.iter().zip(&expected) {
            let error = relative_error(output, expected);
            assert!(error <= bound, "{dtype}, blocks {blocks}: relative error {error}");
        }
    }
}

/// `‖a - b‖ / ‖b‖`
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (difference / b.iter().map(|&b| square(b)).sum::<f64>().max(1e-30)).sqrt()
}
