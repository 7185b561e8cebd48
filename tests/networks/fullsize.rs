//! Networks at release size, with weights by formula; outputs are kept as probes.

use std::path::Path;
use std::sync::Arc;

use pentimento::Model;
use pentimento::models::Options;

use crate::codes::tokens;
use crate::golden::F32;
use crate::support::{
    self, Executor, formula, json, largest_error, npy, npy_u8, relative_error, shape,
};

/// Largest relative L2 error of the deep networks with a codebook: correct implementations differ
/// by 1.5e-3 at single pixels.
const CODES: f64 = 1e-3;

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

fn check(case: &str, executors: &[Executor], tolerance: f64) {
    let Some(shared) = support::shared() else { return };
    let folder = shared.join("goldens/fullsize").join(case);
    let checkpoint = formula::checkpoint(&folder);
    let meta = json(&folder.join("meta.json"));
    for (name, values) in meta["weight_checks"].as_object().expect("checks") {
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
    for &executor in executors {
        let Some(outputs) = support::run(&graph, executor, &[&input]) else { continue };
        for (name, actual) in model.outputs().iter().zip(outputs) {
            let file = match *name {
                "output" => "output".to_owned(),
                name => format!("output_{name}"),
            };
            let probes = folder.join(format!("{file}_probes.npy"));
            if !probes.exists() {
                continue;
            }
            let (_, probes) = npy(&probes);
            let actual = match meta["outputs"][&file]["shape"].as_array().map(Vec::as_slice) {
                Some([_, _, channels]) => {
                    tokens(&actual, channels.as_u64().expect("a size") as usize)
                }
                _ => actual,
            };
            let numel = actual.len() as u64;
            let at = |i: usize| actual[(i as u64 * 2_654_435_761 % numel) as usize];
            let sampled: Vec<f32> = (0..probes.len()).map(at).collect();
            let error = relative_error(&sampled, &probes);
            let largest = largest_error(&sampled, &probes);
            eprintln!("{case} {executor:?} {name}: {error:.1e}, largest {largest:.1e}");
            assert!(error <= tolerance, "{case} {executor:?} {name}: {error:.2e}");
        }
    }
}

#[test]
fn srvgg_general_x4v3() {
    check("srvgg_general_x4v3", &[Executor::Cpu, Executor::Gpu], F32);
}

#[test]
fn gfpgan_clean_512() {
    check("gfpgan_clean_512", &[Executor::Cpu, Executor::Gpu], F32);
}

#[test]
fn restoreformer_512() {
    check("restoreformer_512", &[Executor::Cpu, Executor::Gpu], CODES);
}

#[test]
fn codeformer_512() {
    check("codeformer_512", &[Executor::Cpu, Executor::Gpu], CODES);
}
