//! Small networks with PyTorch checkpoints in the containers of the real releases.

use std::path::Path;
use std::sync::Arc;

use pentimento::checkpoint::Checkpoint;
use pentimento::models::{Options, Truncation};
use pentimento::{Error, Model};

use crate::support::{
    self, Executor, folders, json, largest_error, name, npy, relative_error, shape,
};

/// Largest relative L2 error of an f32 network.
pub const F32: f64 = 1e-4;
/// The same in f16.
pub const F16: f64 = 2e-2;

/// Compares all executors with `expected`.
pub fn compare(model: &Model, case: &str, dims: &[usize], input: &[f32], expected: &[f32]) {
    let graph = Arc::new(model.graph(shape(dims)).unwrap_or_else(|e| panic!("{case}: {e}")));
    for executor in [Executor::Twins, Executor::Cpu, Executor::Gpu, Executor::GpuF16] {
        let Some(actual) = support::run(&graph, executor, &[input]) else { continue };
        let error = relative_error(&actual[0], expected);
        let largest = largest_error(&actual[0], expected);
        eprintln!("{case} {executor:?}: {error:.1e}, largest {largest:.1e}");
        let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
        assert!(error <= tolerance, "{case} {executor:?}: {error:.2e} exceeds {tolerance:.0e}");
    }
}

/// Runs one case; `false` when its architecture is not built.
fn check(folder: &Path) -> bool {
    let case = name(folder);
    let meta = json(&folder.join("meta.json"));
    let truncation = folder.join("input_truncation_latent.npy");
    let options = Options {
        truncation: truncation.exists().then(|| {
            let notes = meta["notes"].as_str().unwrap_or_default();
            let factor = notes.split("truncation=").nth(1).and_then(|n| n.split(';').next());
            let factor = factor.and_then(|f| f.parse().ok()).expect("a truncation factor");
            Truncation { factor, mean: npy(&truncation).1 }
        }),
        ..Options::default()
    };
    let checkpoint =
        Checkpoint::open(&folder.join("checkpoint.pth")).unwrap_or_else(|e| panic!("{case}: {e}"));
    let model = match Model::from_checkpoint(checkpoint, &options) {
        Ok(model) => model,
        Err(Error::UnknownArchitecture(_)) => return false,
        Err(error) => panic!("{case}: {error}"),
    };
    let (dims, input) = npy(&folder.join("input.npy"));
    let (_, expected) = npy(&folder.join("output.npy"));
    compare(&model, &case, &dims, &input, &expected);
    true
}

#[test]
fn all_executors_agree_with_pytorch() {
    let Some(shared) = support::shared() else { return };
    let (mut ran, mut others) = (0, Vec::new());
    for folder in folders(&shared.join("goldens")) {
        if !folder.join("checkpoint.pth").exists() {
            continue;
        }
        // codes.rs compares these, with all their outputs.
        if folder.join("output_indices.npy").exists() {
            continue;
        }
        if check(&folder) { ran += 1 } else { others.push(name(&folder)) }
    }
    eprintln!("{ran} networks ran; of architectures that are not built: {}", others.join(" "));
    assert!(ran >= 8, "only {ran} networks were found");
}
