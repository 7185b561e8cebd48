//! Small networks with PyTorch checkpoints in the containers of the real releases.

use std::path::Path;
use std::sync::Arc;

use pentimento::checkpoint::Checkpoint;
use pentimento::models::{CodeFormerOptions, Options, Truncation};
use pentimento::nn::stylegan2::Resample;
use pentimento::{Error, Model, Task};

use crate::support::{
    self, Executor, folders, json, largest_error, name, npy, relative_error, shape,
};

/// Largest relative L2 error of an f32 network.
pub const F32: f64 = 1e-4;
/// The same in f16.
pub const F16: f64 = 2e-2;

/// Compares all executors with `expected`, the first outputs of the graph.
pub fn compare(model: &Model, case: &str, dims: &[usize], input: &[f32], expected: &[&[f32]]) {
    let graph = Arc::new(model.graph(shape(dims)).unwrap_or_else(|e| panic!("{case}: {e}")));
    for executor in [Executor::Twins, Executor::Cpu, Executor::Gpu, Executor::GpuF16] {
        let Some(actual) = support::run(&graph, executor, &[input]) else { continue };
        assert!(actual.len() >= expected.len(), "{case} has {} outputs", actual.len());
        for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            let error = relative_error(actual, expected);
            let largest = largest_error(actual, expected);
            eprintln!("{case} {executor:?} {i}: {error:.1e}, largest {largest:.1e}");
            let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
            assert!(error <= tolerance, "{case} {executor:?}: {error:.2e} exceeds {tolerance:.0e}");
        }
    }
}

/// The files of a case that its graph's outputs are compared with, in their order.
fn output_files(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "ParseNet" => &["output.npy", "output_img.npy"],
        "BiSeNet" => &["output.npy", "output16.npy", "output32.npy"],
        _ => &["output.npy"],
    }
}

/// What the file of a case does not say, as the constructor's arguments tell it.
pub fn options(meta: &serde_json::Value) -> Options {
    let slope = |activation: &str| match activation {
        "relu" => Some(0.0),
        "leakyrelu" => Some(0.1),
        _ => None,
    };
    let ctor = &meta["ctor"];
    let number = |name: &str| ctor[name].as_u64().map(|n| n as usize);
    Options {
        heads: number("n_head").or_else(|| number("head_size")),
        codeformer: CodeFormerOptions {
            fidelity: ctor["w"].as_f64().map(|w| w as f32),
            adain: ctor["adain"].as_bool(),
        },
        resample: (meta["arch"] == "GFPGANBilinear").then_some(Resample::Bilinear),
        slope: ctor["act_type"].as_str().and_then(slope),
        auxiliary: true,
        ..Options::default()
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
        ..options(&meta)
    };
    let checkpoint =
        Checkpoint::open(&folder.join("checkpoint.pth")).unwrap_or_else(|e| panic!("{case}: {e}"));
    let model = match Model::from_checkpoint(checkpoint, &options) {
        Ok(model) => model,
        Err(Error::UnknownArchitecture(_)) => return false,
        Err(error) => panic!("{case}: {error}"),
    };
    if matches!(model.task(), Task::Detect { .. }) {
        // Its outputs are compared in detect.rs.
        return true;
    }
    let files = output_files(model.architecture());
    let expected: Vec<Vec<f32>> = files.iter().map(|file| npy(&folder.join(file)).1).collect();
    let expected: Vec<&[f32]> = expected.iter().map(Vec::as_slice).collect();
    let (dims, input) = npy(&folder.join("input.npy"));
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
    assert!(others.is_empty(), "architectures that are not built: {}", others.join(" "));
    assert!(ran >= 8, "only {ran} networks were found");
}
