//! PyTorch's single operations by all executors. New cases of a known operation are picked up from
//! the folder.

use std::path::Path;
use std::sync::Arc;

use pentimento::gpu;
use pentimento::plan::{Plan, Target};

use crate::golden_cases::{self, Case};
use crate::harness::{F16, F32};
use crate::support::{self, Executor, folders, json, largest_error, name, npy, relative_error};

/// Cases of steps behind the network, and of several outputs: tests/networks/detect.rs.
const ELSEWHERE: [&str; 3] = ["fpn_odd", "nms", "priors_decode_"];

/// The case in a folder; `None` when it is not known how it is built.
fn read(folder: &Path) -> Option<Case> {
    let meta = json(&folder.join("meta.json"));
    let tensor = |name: &str| npy(&folder.join(format!("{name}.npy")));
    golden_cases::case(&name(folder), &meta, tensor)
}

/// Runs one case; `None` when it is not known how.
fn check(folder: &Path) -> Option<Vec<String>> {
    let case = name(folder);
    let Case { graph, inputs, expected } = read(folder)?;
    let graph = Arc::new(graph);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut failures = Vec::new();
    for executor in [Executor::Twins, Executor::Cpu, Executor::Gpu, Executor::GpuF16] {
        let Some(actual) = support::run(&graph, executor, &inputs) else { continue };
        let errors = actual.iter().zip(&expected).map(|(a, e)| relative_error(a, e));
        let error = errors.fold(0.0, f64::max);
        // Weights so small that only the epsilon is left of them vanish in f16.
        if executor == Executor::GpuF16 && case == "modconv_clean_eps" {
            continue;
        }
        let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
        if error > tolerance {
            let largest = largest_error(&actual[0], &expected[0]);
            failures.push(format!("{case} {executor:?}: {error:.2e} (largest {largest:.2e})"));
        }
    }
    Some(failures)
}

#[test]
fn all_executors_agree_with_pytorch() {
    let Some(shared) = support::shared() else { return };
    let mut failures = Vec::new();
    let (mut ran, mut others) = (0, Vec::new());
    for folder in folders(&shared.join("goldens/ops")) {
        match check(&folder) {
            Some(failed) => {
                ran += 1;
                failures.extend(failed);
            }
            None if ELSEWHERE.iter().any(|prefix| name(&folder).starts_with(prefix)) => {}
            None => others.push(name(&folder)),
        }
    }
    eprintln!("{ran} cases ran; of operations that are not built: {}", others.join(" "));
    assert!(ran >= 100, "only {ran} cases were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The kernels of real GPUs, whatever the device is: browsers hold them to these limits.
#[test]
fn no_operation_needs_more_than_webgpus_default_limits() {
    let Some(shared) = support::shared() else { return };
    let Some(device) = support::webgpu_device() else { return };
    let mut ran = 0;
    for folder in folders(&shared.join("goldens/ops")) {
        let Some(Case { graph, inputs, expected }) = read(&folder) else { continue };
        let plan = Plan::new(Arc::new(graph), Target::webgpu_defaults()).expect("a plan");
        let mut executor = gpu::Executor::new_blocking(&device, Arc::new(plan)).expect("room");
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let outputs = executor.run_blocking(&inputs).expect("a result");
        for (actual, expected) in outputs.iter().zip(&expected) {
            let error = relative_error(actual, expected);
            assert!(error <= F32, "{}: {error:.2e}", name(&folder));
        }
        ran += 1;
    }
    assert!(ran >= 100, "only {ran} cases were found");
}
