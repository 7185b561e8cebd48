//! PyTorch's single operations by all executors. New cases of a known operation are picked up from
//! the folder: their `meta.json` says all that a test needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pentimento::gpu;
use pentimento::plan::{Plan, Target};

use crate::golden_cases::{self, Case};
use crate::harness::{F16, F32};
use crate::support::{self, Executor, folders, json, largest_error, name, npy, relative_error};

/// How `op` begins of cases of steps behind the network, and of several outputs:
/// tests/networks/detect.rs.
const ELSEWHERE: [&str; 3] = ["FPN", "nms", "anchors and decode"];
/// The same of cases whose weights are so small that only the epsilon is left of them: in f16 they
/// vanish.
const NOT_IN_F16: &str = "modulated_conv with weights so small";

/// What `meta.json` says of the operation.
fn operation(folder: &Path) -> String {
    let meta = json(&folder.join("meta.json"));
    meta["op"].as_str().expect("an operation").to_owned()
}

/// The cases, in folders of any names.
fn cases(shared: &Path) -> Vec<PathBuf> {
    let mut folders = folders(&shared.join("goldens/ops"));
    folders.retain(|folder| {
        let op = operation(folder);
        !ELSEWHERE.iter().any(|start| op.starts_with(start))
    });
    assert!(!folders.is_empty(), "{} holds no case", shared.display());
    folders
}

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
        if executor == Executor::GpuF16 && operation(folder).starts_with(NOT_IN_F16) {
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
    let (mut failures, mut others) = (Vec::new(), Vec::new());
    for folder in cases(&shared) {
        match check(&folder) {
            Some(failed) => failures.extend(failed),
            None => others.push(operation(&folder)),
        }
    }
    assert!(others.is_empty(), "operations that are not built: {}", others.join("; "));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The kernels of real GPUs, whatever the device is: browsers hold them to these limits.
#[test]
fn no_operation_needs_more_than_webgpus_default_limits() {
    let Some(shared) = support::shared() else { return };
    let Some(device) = support::webgpu_device() else { return };
    for folder in cases(&shared) {
        let Some(Case { graph, inputs, expected }) = read(&folder) else { continue };
        let plan = Plan::new(Arc::new(graph), Target::webgpu_defaults()).expect("a plan");
        let mut executor = gpu::Executor::new_blocking(&device, Arc::new(plan)).expect("room");
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let outputs = executor.run_blocking(&inputs).expect("a result");
        for (actual, expected) in outputs.iter().zip(&expected) {
            let error = relative_error(actual, expected);
            assert!(error <= F32, "{}: {error:.2e}", name(&folder));
        }
    }
}
