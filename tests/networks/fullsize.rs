//! Networks at release size, with weights by formula; outputs are kept as probes.

use std::path::Path;
use std::sync::Arc;

use pentimento::models::Options;
use pentimento::{Error, Model};

use crate::golden::{F32, options};
use crate::support::{
    self, Executor, folders, formula, json, largest_error, name, npy, npy_u8, relative_error, shape,
};

/// Multiply-adds that a driver on the CPU computes in about half a minute.
const SOFTWARE_WORK: u64 = 60_000_000_000;

/// `input_rgb_u8_HxW.npy` as NCHW, in the range that the recipe names: `/255`, `/255 *2-1`, or
/// `-> BGR, minus (104,117,123)`.
pub fn input(folder: &Path) -> (Vec<usize>, Vec<f32>) {
    let meta = json(&folder.join("meta.json"));
    let recipe = meta["input"].as_str().expect("an input");
    let file = recipe.split_whitespace().next().expect("a file name");
    let (dims, bytes) = npy_u8(&folder.parent().expect("a parent").join(file));
    let [3, h, w] = dims[..] else { panic!("{file} is {dims:?}") };
    let bgr = recipe.contains("BGR");
    let mean = [104.0, 117.0, 123.0];
    let value = |c: usize, p: usize| {
        let v = |c: usize| f32::from(bytes[c * h * w + p]);
        match recipe {
            _ if bgr => v(2 - c) - mean[c],
            _ if recipe.contains("*2-1") => v(c) / 255.0 * 2.0 - 1.0,
            _ => v(c) / 255.0,
        }
    };
    let values = (0..3 * h * w).map(|i| value(i / (h * w), i % (h * w)));
    (vec![1, 3, h, w], values.collect())
}

/// The network of a case; `None`, said aloud, when its architecture is not built.
fn model(folder: &Path) -> Option<Model> {
    let case = name(folder);
    let checkpoint = formula::checkpoint(folder);
    let meta = json(&folder.join("meta.json"));
    for (name, values) in meta["weight_checks"].as_object().expect("checks") {
        // Counters are no floating-point numbers.
        let Some(dims) = checkpoint.dims(name).map(<[usize]>::to_vec) else { continue };
        let actual = checkpoint.require(name, &dims).expect("the tensor").to_f32();
        let values = values.as_array().expect("values");
        for (expected, actual) in values.iter().zip(&actual) {
            assert_eq!(expected.as_f64().expect("a number") as f32, *actual, "{name}");
        }
    }
    let options = Options { auxiliary: false, ..options(&meta) };
    match Model::from_checkpoint(checkpoint, &options) {
        Ok(model) => Some(model),
        Err(Error::UnknownArchitecture(_)) => {
            eprintln!("{case}: this architecture is not built");
            None
        }
        Err(error) => panic!("{case}: {error}"),
    }
}

/// Runs all cases by `executor`, those with more than `work` multiply-adds excepted.
fn check(executor: Executor, work: u64) {
    let Some(shared) = support::shared() else { return };
    let mut ran = 0;
    for folder in folders(&shared.join("goldens/fullsize")) {
        let case = name(&folder);
        let probes = folder.join("output_probes.npy");
        if !probes.exists() {
            eprintln!("{case}: its outputs are compared elsewhere");
            continue;
        }
        let Some(model) = model(&folder) else { continue };
        let (dims, input) = input(&folder);
        let graph = Arc::new(model.graph(shape(&dims)).unwrap_or_else(|e| panic!("{case}: {e}")));
        if graph.multiply_adds() > work {
            eprintln!("{case}: left out, too much work for this device");
            continue;
        }
        let (_, probes) = npy(&probes);
        let start = std::time::Instant::now();
        let Some(actual) = support::run(&graph, executor, &[&input]) else { return };
        let numel = actual[0].len() as u64;
        let at = |i: usize| actual[0][(i as u64 * 2_654_435_761 % numel) as usize];
        let sampled: Vec<f32> = (0..probes.len()).map(at).collect();
        let error = relative_error(&sampled, &probes);
        let largest = largest_error(&sampled, &probes);
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{case} {executor:?}: {error:.1e}, largest {largest:.1e}, {seconds:.1} s");
        assert!(error <= F32, "{case} {executor:?}: {error:.2e}");
        ran += 1;
    }
    assert!(ran > 0, "no case ran");
}

#[test]
fn the_cpu_executor_agrees_with_pytorch() {
    check(Executor::Cpu, u64::MAX);
}

#[test]
fn the_gpu_executor_agrees_with_pytorch() {
    let Some(device) = support::device() else { return };
    let work = if device.info().is_software() { SOFTWARE_WORK } else { u64::MAX };
    check(Executor::Gpu, work);
}
