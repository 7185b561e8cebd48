//! MMRB-Net: one case per option of its configuration, written by `tools/reference`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pentimento::bench::{NETWORKS, noise};
use pentimento::checkpoint::Checkpoint;
use pentimento::nn::Builder;
use pentimento::nn::mmrb::{Mix, Mmrb, PathSpec, mmrb};
use pentimento::plan::{Plan, Target};
use pentimento::{Model, cpu, gpu};
use serde::Deserialize;

use crate::golden::{F16, F32, compare, executors};
use crate::support::{self, Executor, folders, json, name, npy, relative_error, shape};

fn goldens() -> Vec<std::path::PathBuf> {
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/mmrbnet"))
}

#[test]
fn every_option_agrees_with_pytorch() {
    let networks: Vec<_> =
        goldens().into_iter().filter(|f| !name(f).starts_with("block_")).collect();
    assert!(networks.len() >= 20, "only {} cases were found", networks.len());
    let mut seen = BTreeSet::new();
    for folder in networks {
        let model = Model::open(folder.join("checkpoint.safetensors"))
            .unwrap_or_else(|e| panic!("{}: {e}", name(&folder)));
        let (dims, input) = npy(&folder.join("input.npy"));
        let (_, expected) = npy(&folder.join("output.npy"));
        compare(&model, &name(&folder), (&dims, &input), &[&expected], &mut seen);
    }
}

#[derive(Deserialize)]
struct Block {
    out_channels: usize,
    paths: Vec<PathSpec>,
    mix: Mix,
    path_channels: usize,
    slope: f32,
    fuse_activation: bool,
}

#[test]
fn the_block_alone_agrees_with_pytorch() {
    let blocks: Vec<_> = goldens().into_iter().filter(|f| name(f).starts_with("block_")).collect();
    assert!(blocks.len() >= 5, "only {} cases were found", blocks.len());
    let mut seen = BTreeSet::new();
    for folder in blocks {
        let case = name(&folder);
        let meta = json(&folder.join("meta.json"));
        let block: Block = serde_json::from_value(meta["config"].clone()).expect("a block");
        let checkpoint = Checkpoint::open(&folder.join("checkpoint.safetensors")).expect("a file");
        let spec = Mmrb {
            paths: &block.paths,
            mix: block.mix,
            path_channels: block.path_channels,
            slope: block.slope,
            fuse_activation: block.fuse_activation,
        };
        let (dims, input) = npy(&folder.join("input.npy"));
        let (_, expected) = npy(&folder.join("output.npy"));
        let mut b = Builder::new(&checkpoint);
        let x = b.graph.add_input("x", shape(&dims));
        let y = mmrb(&mut b, x, "", &spec, block.out_channels).expect("a block");
        let graph = Arc::new(b.finish(y));
        for executor in executors(&graph, &mut seen) {
            let Some(actual) = support::run(&graph, executor, &[&input]) else { continue };
            let error = relative_error(&actual[0], &expected);
            let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
            assert!(error <= tolerance, "{case} {executor:?}: {error:.2e}");
        }
    }
}

/// As a browser grants it everywhere: 8 storage buffers, bindings of 128 MiB, 16 KiB of workgroup
/// memory, 256 invocations, no f16.
#[test]
fn the_default_model_needs_no_more_than_webgpus_default_limits() {
    let Some(device) = support::webgpu_device() else { return };
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mmrbnet-256.safetensors");
    let model = Model::open(weights).expect("the default model");
    let shape = model.input_shape(256, 256);
    let graph = Arc::new(model.graph(shape).expect("a graph"));
    let input = support::noise(9, shape.len());
    let cpu = support::run(&graph, Executor::Cpu, &[&input]).expect("the CPU is there");
    let target = Target::webgpu_defaults();
    let plan = Arc::new(Plan::new(graph, target).expect("a plan"));
    let mut executor = gpu::Executor::new_blocking(&device, plan).expect("room");
    let gpu = executor.run_blocking(&[&input]).expect("a result");
    let error = relative_error(&gpu[0], &cpu[0]);
    assert!(error <= F32, "{error:.2e}");
}

/// Weights of the benchmarks whose scales multiply from level to level end in infinities where f16
/// ends.
#[test]
fn random_weights_leave_room_below_the_largest_f16() {
    let networks: Vec<_> = NETWORKS.iter().filter(|n| n.name.starts_with("mmrbnet-")).collect();
    assert!(!networks.is_empty());
    for network in networks {
        let model = network.model().unwrap();
        let [h, w] = network.size;
        let shape = model.input_shape(h, w);
        let graph = Arc::new(model.graph(shape).unwrap());
        let plan = Arc::new(Plan::new(graph, Target::cpu()).unwrap());
        let input: Vec<f32> = noise(17, shape.len()).iter().map(|v| 0.5 * v).collect();
        let outputs = cpu::Executor::new(plan).unwrap().run(&[&input]).unwrap();
        let largest = outputs[0].iter().fold(0.0, |m: f32, v| m.max(v.abs()));
        assert!(largest < 1000.0, "{}: {largest}", network.name);
    }
}
