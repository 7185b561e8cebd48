//! RestoreFormer++, of which no golden is there, against a golden of RestoreFormer.

use std::sync::Arc;

use pentimento::Model;
use pentimento::checkpoint::Checkpoint;
use pentimento::models::Options;

use crate::golden::{F32, cases, checkpoint, options};
use crate::support::{self, Executor, json, npy, relative_error, shape};

/// The layers of `checkpoint` under RestoreFormer++'s prefix, and attention at the decoder's level
/// `up.1`, whose projections are `strength` times as large as other layers'.
fn plus_plus(checkpoint: &Checkpoint, strength: f32) -> Checkpoint {
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = (checkpoint.tensors())
        .map(|p| (format!("vqvae.{}", p.name), p.dims.clone(), p.to_f32()))
        .collect();
    for block in 0.. {
        let convolution = format!("decoder.up.1.block.{block}.conv2.weight");
        let Some(&[channels, ..]) = checkpoint.dims(&convolution) else { break };
        for (seed, layer) in (1..).zip(["norm1", "norm2", "q", "k", "v", "proj_out"]) {
            let name = format!("vqvae.decoder.up.1.attn.{block}.{layer}");
            let scale = if layer == "proj_out" { strength } else { 0.2 };
            let noise = |len| support::noise(seed, len).into_iter().map(|v| v * scale);
            let normalises = layer.starts_with("norm");
            let shape = if normalises { vec![channels] } else { vec![channels, channels, 1, 1] };
            let weight = noise(shape.iter().product()).collect();
            tensors.push((format!("{name}.weight"), shape, weight));
            tensors.push((format!("{name}.bias"), vec![channels], noise(channels).collect()));
        }
    }
    support::checkpoint(tensors)
}

/// RestoreFormer++ is RestoreFormer under another prefix, with attention at one more level of the
/// decoder: where that adds zero, the result is RestoreFormer's.
#[test]
fn restoreformer_plus_plus_attends_at_one_more_level() {
    let Some(shared) = support::shared() else { return };
    for folder in cases(&shared) {
        let meta = json(&folder.join("meta.json"));
        let own = checkpoint(&folder);
        if meta["arch"] != "RestoreFormer" || own.has_prefix("decoder.up.1.attn.") {
            continue;
        }
        let (dims, input) = npy(&folder.join("input.npy"));
        let (_, expected) = npy(&folder.join("output.npy"));
        let heads = options(&meta).heads.unwrap_or(8);
        let output = |strength: f32| {
            // By default it has 4, half as many as RestoreFormer.
            let options =
                Options { heads: Some(heads).filter(|&heads| heads != 4), ..Options::default() };
            let model = Model::from_checkpoint(plus_plus(&own, strength), &options);
            let model = model.expect("a known network");
            assert_eq!(model.architecture(), "RestoreFormer++");
            let told = heads.to_string();
            let info = model.info();
            assert!(info.parameters.iter().any(|(n, v)| *n == "heads" && v.starts_with(&told)));
            let graph = Arc::new(model.graph(shape(&dims)).expect("a graph"));
            support::run(&graph, Executor::Cpu, &[&input]).expect("the CPU is there").swap_remove(0)
        };
        let error = relative_error(&output(0.0), &expected);
        assert!(error <= F32, "{error:.2e}");
        assert!(relative_error(&output(0.2), &expected) > 0.01);
    }
}
