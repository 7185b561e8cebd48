//! Relatives of the networks: those that run, against PyTorch; those that do not, refused by name;
//! and any tensor that a network does not have.
//!
//! The goldens in `tests/goldens/esrgan` are of spandrel's definitions with the weights of the hash
//! formula: `meta.json` says which versions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::Param;
use pentimento::models::{CodeFormerOptions, Options, ValueRange};
use pentimento::{Model, Task};

use crate::golden::{F16, F32, executors};
use crate::recognise::{Golden, goldens};
use crate::support::{self, Executor, folders, formula, json, name, npy, relative_error, shape};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/esrgan")
}

#[test]
fn relatives_of_esrgan_and_compact_run_as_in_pytorch() {
    let mut seen = BTreeSet::new();
    for folder in folders(&folder()) {
        let (case, meta) = (name(&folder), json(&folder.join("meta.json")));
        let model = Model::from_checkpoint(formula::checkpoint(&folder), &Options::default());
        let model = model.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(model.architecture(), meta["arch"], "{case}");
        let Task::Upscale { factor, .. } = model.task() else {
            panic!("{case}: {:?}", model.task())
        };
        assert_eq!(Some(factor as u64), meta["factor"].as_u64(), "{case}");
        let (dims, input) = npy(&folder.join("input.npy"));
        let (_, expected) = npy(&folder.join("output.npy"));
        let graph = Arc::new(model.graph(shape(&dims)).expect("a graph"));
        for executor in executors(&graph, &mut seen) {
            let Some(outputs) = support::run(&graph, executor, &[&input]) else { continue };
            let error = relative_error(&outputs[0], &expected);
            let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
            assert!(error <= tolerance, "{case} on {executor:?}: {error:.2e}");
        }
    }
}

/// The tensors of `checkpoint` and one more.
pub fn with_stray(checkpoint: &Checkpoint, stray: &str) -> Checkpoint {
    let params =
        checkpoint.tensors().cloned().chain([Param::from_values(stray, vec![2, 3], &[0.5; 6])]);
    let file = Checkpoint::from_params("model.pth", params);
    let metadata = checkpoint.all_metadata();
    metadata.into_iter().fold(file, |file, (key, value)| file.with_metadata(key, value))
}

/// Names that no network has, some of them among those of its own layers, and names of counters,
/// which a matrix is not.
pub fn strays(checkpoint: &Checkpoint) -> Vec<String> {
    let mut strays = ["stray.weight", "w", "0", "step", "decay"].map(str::to_owned).to_vec();
    for param in checkpoint.tensors().step_by(1 + checkpoint.tensors().count() / 4) {
        let layer = param.name.rsplit_once('.').map_or("", |(layer, _)| layer);
        for part in ["stray", "num_batches_tracked", "weight_orig"] {
            strays.push(format!("{layer}.{part}").trim_start_matches('.').to_owned());
        }
        strays.push(format!("{}_ema", param.name));
        strays.push(format!("ema.{}", param.name));
    }
    strays
}

/// The networks of `tests/goldens/mmrbnet`, not the single blocks.
fn own_networks() -> Vec<(String, Checkpoint)> {
    let all = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/mmrbnet"));
    let networks = all.iter().filter(|folder| !name(folder).starts_with("block_"));
    let open = |folder: &PathBuf| Checkpoint::open(&folder.join("checkpoint.safetensors"));
    networks.map(|folder| (name(folder), open(folder).expect("a golden"))).collect()
}

#[test]
fn a_tensor_that_a_network_does_not_have_is_refused_by_name() {
    let mut tried = 0;
    let mut check = |case: &str, checkpoint: &Checkpoint, options: &Options| {
        for stray in strays(checkpoint) {
            tried += 1;
            let error = Model::from_checkpoint(with_stray(checkpoint, &stray), options);
            let error = error.err().unwrap_or_else(|| panic!("{case}: {stray} was ignored"));
            let told = error.to_string();
            assert!(told.contains(&stray), "{case}: {told}");
            assert!(told.contains("model.pth") && told.contains("--drop"), "{case}: {told}");
        }
    };
    for folder in folders(&folder()) {
        check(&name(&folder), &formula::checkpoint(&folder), &Options::default());
    }
    let own = own_networks();
    assert!(own.len() > 20, "{}", own.len());
    for (case, checkpoint) in own {
        check(&case, &checkpoint, &Options::default());
    }
    if let Some(shared) = support::shared() {
        for golden in goldens(&shared) {
            let fidelity = CodeFormerOptions { fidelity: Some(0.0), adain: Some(false) };
            check(&golden.case, &golden.checkpoint, &golden.options);
            let options = Options { codeformer: fidelity, auxiliary: false, ..golden.options };
            check(&golden.case, &golden.checkpoint, &options);
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn relatives_are_called_by_their_names() {
    let numbers = formula::checkpoint(&folder().join("numbers_x4"));
    let basicsr = formula::checkpoint(&folder().join("basicsr_x2"));
    for (checkpoint, name) in [
        (with_stray(&numbers, "b_fea_conv.weight"), "SPSR"),
        (
            with_stray(&with_stray(&basicsr, "de_net.body.0.weight"), "am_list.0.fc.0.weight"),
            "MM-RealSR",
        ),
    ] {
        let told = Model::from_checkpoint(checkpoint, &Options::default()).unwrap_err().to_string();
        assert!(told.contains(name) && told.contains("not supported"), "{told}");
    }
}

#[test]
fn a_gpen_may_take_values_from_0() {
    let Some(shared) = support::shared() else { return };
    let gpens = goldens(&shared).into_iter().filter(|golden| golden.arch == "FullGenerator");
    for Golden { checkpoint, .. } in gpens {
        let unit = Options { range: Some(ValueRange::Unit), ..Options::default() };
        let [signed, unit] = [Options::default(), unit]
            .map(|options| Model::from_checkpoint(checkpoint.clone(), &options).expect("a GPEN"));
        assert_ne!(signed.pixels(), unit.pixels());
        let says = |model: &Model, text: &str| {
            let info = model.info();
            info.parameters.iter().any(|(name, value)| *name == "range" && value.contains(text))
        };
        assert!(says(&signed, "assumed") && says(&unit, "0..1 (as you say)"));
    }
}
