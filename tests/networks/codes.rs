//! Networks with a codebook: the chosen codes are PyTorch's on every executor, in f16 too.

use std::path::Path;
use std::sync::Arc;

use pentimento::Model;
use pentimento::checkpoint::Checkpoint;
use pentimento::models::{CodeFormerOptions, Options};

use crate::golden::{F16, F32, options};
use crate::support::{self, Executor, json, largest_error, npy, relative_error, shape};

/// `[1, C, H, W]` as the tokens `[1, H·W, C]` of a golden of three dimensions.
pub fn tokens(values: &[f32], channels: usize) -> Vec<f32> {
    let pixels = values.len() / channels;
    (0..pixels).flat_map(|t| (0..channels).map(move |c| values[c * pixels + t])).collect()
}

/// Compares the outputs `names` of a network with the files of `folder`, and f16 with f32.
fn check(folder: &Path, options: &Options, names: &[(&str, &str)]) {
    let case = support::name(folder);
    let checkpoint = Checkpoint::open(&folder.join("checkpoint.pth")).expect("a checkpoint");
    let model = Model::from_checkpoint(checkpoint, options).expect("a known network");
    let (dims, input) = npy(&folder.join("input.npy"));
    let graph = Arc::new(model.graph(shape(&dims)).expect("a graph"));
    let mut exact: Option<Vec<Vec<f32>>> = None;
    for executor in [Executor::Twins, Executor::Cpu, Executor::Gpu, Executor::GpuF16] {
        let Some(outputs) = support::run(&graph, executor, &[&input]) else { continue };
        for (output, file) in names {
            let index = model.outputs().iter().position(|name| name == output).expect("a name");
            let (dims, expected) = npy(&folder.join(format!("{file}.npy")));
            let actual = match dims[..] {
                [_, _, channels] => tokens(&outputs[index], channels),
                _ => outputs[index].clone(),
            };
            if *output == "indices" {
                assert_eq!(actual, expected, "{case} {executor:?}: other codes");
                continue;
            }
            let error = relative_error(&actual, &expected);
            eprintln!("{case} {executor:?} {output}: {error:.1e}");
            let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
            assert!(error <= tolerance, "{case} {executor:?} {output}: {error:.2e}");
        }
        if executor == Executor::GpuF16
            && let Some(exact) = &exact
        {
            let (error, largest) =
                (relative_error(&outputs[0], &exact[0]), largest_error(&outputs[0], &exact[0]));
            eprintln!("{case} f16 against f32: {error:.1e}, largest {largest:.1e}");
        }
        exact = Some(outputs);
    }
}

#[test]
fn restoreformer_chooses_the_codes_of_pytorch() {
    let Some(shared) = support::shared() else { return };
    let folder = shared.join("goldens/restoreformer_64");
    let names = [("output", "output"), ("indices", "output_indices")];
    check(&folder, &options(&json(&folder.join("meta.json"))), &names);
}

#[test]
fn codeformer_chooses_the_codes_of_pytorch() {
    let Some(shared) = support::shared() else { return };
    let folder = shared.join("goldens/codeformer_64");
    let options = options(&json(&folder.join("meta.json")));
    let common =
        [("indices", "output_indices"), ("logits", "output_logits"), ("lq_feat", "output_lq_feat")];
    check(&folder, &options, &[("output", "output"), common[0], common[1], common[2]]);
    let codeformer = CodeFormerOptions { fidelity: Some(0.0), adain: Some(false) };
    let options = Options { codeformer, ..options };
    check(&folder, &options, &[("output", "output_w0_noadain"), common[0]]);
}

/// RestoreFormer++ is RestoreFormer under another prefix, with attention at one more level of the
/// decoder: where that adds zero, the result is RestoreFormer's.
#[test]
fn restoreformer_plus_plus_attends_at_one_more_level() {
    let Some(shared) = support::shared() else { return };
    let folder = shared.join("goldens/restoreformer_64");
    let checkpoint = Checkpoint::open(&folder.join("checkpoint.pth")).expect("a checkpoint");
    let (dims, input) = npy(&folder.join("input.npy"));
    let (_, expected) = npy(&folder.join("output.npy"));
    let output = |strength: f32| {
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = (checkpoint.tensors())
            .map(|p| (format!("vqvae.{}", p.name), p.dims.clone(), p.to_f32()))
            .collect();
        for block in 0..3 {
            for (seed, layer) in (1..).zip(["norm1", "norm2", "q", "k", "v", "proj_out"]) {
                let name = format!("vqvae.decoder.up.1.attn.{block}.{layer}");
                let scale = if layer == "proj_out" { strength } else { 0.2 };
                let noise = |len| support::noise(seed, len).into_iter().map(|v| v * scale);
                let shape = if layer.starts_with("norm") { vec![32] } else { vec![32, 32, 1, 1] };
                let weight = noise(shape.iter().product()).collect();
                tensors.push((format!("{name}.weight"), shape, weight));
                tensors.push((format!("{name}.bias"), vec![32], noise(32).collect()));
            }
        }
        let model = Model::from_checkpoint(support::checkpoint(tensors), &Options::default());
        let model = model.expect("a known network");
        assert_eq!(model.architecture(), "RestoreFormer++");
        // Its heads are the golden's.
        assert!(model.info().parameters.iter().any(|(n, v)| *n == "heads" && v.starts_with('4')));
        let graph = Arc::new(model.graph(shape(&dims)).expect("a graph"));
        support::run(&graph, Executor::Cpu, &[&input]).expect("the CPU is there").swap_remove(0)
    };
    let error = relative_error(&output(0.0), &expected);
    assert!(error <= F32, "{error:.2e}");
    assert!(relative_error(&output(0.2), &expected) > 0.01);
}
