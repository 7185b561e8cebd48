//! Networks at release size, with weights by formula; outputs are kept as probes.

use std::path::Path;
use std::sync::Arc;

use pentimento::Model;
use pentimento::models::Options;

use crate::golden::F32;
use crate::support::{
    self, Executor, formula, json, largest_error, npy, npy_u8, relative_error, shape,
};

/// `input_rgb_u8_HxW.npy /255` or `… /255 *2-1`, as NCHW.
fn input(folder: &Path) -> (Vec<usize>, Vec<f32>) {
    let meta = json(&folder.join("meta.json"));
    let recipe = meta["input"].as_str().expect("an input");
    let file = recipe.split_whitespace().next().expect("a file name");
    let (dims, bytes) = npy_u8(&folder.parent().expect("a parent").join(file));
    let [3, h, w] = dims[..] else { panic!("{file} is {dims:?}") };
    let signed = recipe.contains("*2-1");
    let values = bytes.iter().map(|&byte| {
        let v = f32::from(byte) / 255.0;
        if signed { v * 2.0 - 1.0 } else { v }
    });
    (vec![1, 3, h, w], values.collect())
}

fn check(case: &str, executors: &[Executor]) {
    let Some(shared) = support::shared() else { return };
    let folder = shared.join("goldens/fullsize").join(case);
    let checkpoint = formula::checkpoint(&folder);
    let checks = json(&folder.join("meta.json"))["weight_checks"].clone();
    for (name, values) in checks.as_object().expect("checks") {
        let dims = checkpoint.dims(name).expect("the tensor").to_vec();
        let actual = checkpoint.require(name, &dims).expect("the tensor").to_f32();
        let values = values.as_array().expect("values");
        for (expected, actual) in values.iter().zip(&actual) {
            assert_eq!(expected.as_f64().expect("a number") as f32, *actual, "{name}");
        }
    }
    let model = Model::from_checkpoint(checkpoint, &Options::default()).expect("a known network");
    let (dims, input) = input(&folder);
    let graph = Arc::new(model.graph(shape(&dims)).expect("a graph"));
    let (_, probes) = npy(&folder.join("output_probes.npy"));
    for &executor in executors {
        let Some(actual) = support::run(&graph, executor, &[&input]) else { continue };
        let numel = actual[0].len() as u64;
        let at = |i: usize| actual[0][(i as u64 * 2_654_435_761 % numel) as usize];
        let sampled: Vec<f32> = (0..probes.len()).map(at).collect();
        let error = relative_error(&sampled, &probes);
        let largest = largest_error(&sampled, &probes);
        eprintln!("{case} {executor:?}: {error:.1e}, largest {largest:.1e}");
        assert!(error <= F32, "{case} {executor:?}: {error:.2e}");
    }
}

#[test]
fn srvgg_general_x4v3() {
    check("srvgg_general_x4v3", &[Executor::Cpu, Executor::Gpu]);
}

#[test]
fn gfpgan_clean_512() {
    check("gfpgan_clean_512", &[Executor::Cpu, Executor::Gpu]);
}
