//! Networks at the size that people run, with weights by a formula, compared at probes.

use std::path::Path;
use std::sync::Arc;

use pentimento::graph::Graph;
use pentimento::models::Options;
use pentimento::plan::Plan;
use pentimento::tensor::Dtype;
use pentimento::{Error, Model};

use crate::golden::{F16, F32, options, tokens};
use crate::support::{
    self, Executor, folders, formula, json, largest_error, name, npy, npy_u8, relative_error, shape,
};

/// Largest relative L2 error of the deep networks with a codebook: correct implementations differ
/// by 1.5e-3 at single pixels.
const CODES: f64 = 1e-3;
/// Multiply-adds that a driver on the CPU computes in a quarter of a minute. Larger cases are left out
/// there, unless this variable asks for all of them.
const SOFTWARE_WORK: u64 = 9_000_000_000;
const ALL: &str = "PENTIMENTO_ALL_SIZES";

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

/// Height and width of a case's input.
pub fn size(folder: &Path) -> [usize; 2] {
    let (dims, _) = input(folder);
    [dims[2], dims[3]]
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

/// `executor`, or the same GPU in f16 where an intermediate exceeds its largest binding in f32:
/// ParseNet has one of 129 MiB.
fn fitting(graph: &Arc<Graph>, executor: Executor) -> Executor {
    let Some(device) = support::device().filter(|_| executor == Executor::Gpu) else {
        return executor;
    };
    match Plan::new(graph.clone(), device.target(Dtype::F32)) {
        Err(Error::OutOfMemory { needed, available, .. }) => {
            eprintln!("in f16: f32 needs a binding of {needed} bytes, the device has {available}");
            Executor::GpuF16
        }
        _ => executor,
    }
}

/// Runs all cases by `executor`, those with more than `work` multiply-adds excepted.
fn check(executor: Executor, work: u64) {
    let Some(shared) = support::shared() else { return };
    let mut ran = 0;
    for folder in folders(&shared.join("goldens/fullsize")) {
        let case = name(&folder);
        let probes = |output: &str| folder.join(format!("{output}_probes.npy"));
        if !probes("output").exists() {
            eprintln!("{case}: its outputs are compared elsewhere");
            continue;
        }
        let Some(model) = model(&folder) else { continue };
        let (dims, input) = input(&folder);
        let graph = Arc::new(model.graph(shape(&dims)).unwrap_or_else(|e| panic!("{case}: {e}")));
        if graph.multiply_adds() > work {
            support::skip(format_args!("{case}: too much work for a driver on the CPU"));
            continue;
        }
        let executor = fitting(&graph, executor);
        let start = std::time::Instant::now();
        let Some(outputs) = support::run(&graph, executor, &[&input]) else { return };
        let seconds = start.elapsed().as_secs_f64();
        let tolerance = match executor {
            Executor::GpuF16 => F16,
            _ if model.outputs().contains(&"indices") => CODES,
            _ => F32,
        };
        let meta = json(&folder.join("meta.json"));
        for (output, actual) in model.outputs().iter().zip(outputs) {
            let file = match *output {
                "output" => "output".to_owned(),
                output => format!("output_{output}"),
            };
            if !probes(&file).exists() {
                continue;
            }
            let (_, probes) = npy(&probes(&file));
            let actual = match meta["outputs"][&file]["shape"].as_array().map(Vec::as_slice) {
                Some([samples, _, channels]) => {
                    let size = |n: &serde_json::Value| n.as_u64().expect("a size") as usize;
                    tokens(&actual, [samples, channels].map(size))
                }
                _ => actual,
            };
            let numel = actual.len() as u64;
            let at = |i: usize| actual[(i as u64 * 2_654_435_761 % numel) as usize];
            let sampled: Vec<f32> = (0..probes.len()).map(at).collect();
            let error = relative_error(&sampled, &probes);
            let largest = largest_error(&sampled, &probes);
            eprintln!(
                "{case} {executor:?} {output}: {error:.1e}, largest {largest:.1e}, {seconds:.1} s for \
                 {:.1} G multiply-adds",
                graph.multiply_adds() as f64 / 1e9
            );
            assert!(error <= tolerance, "{case} {executor:?} {output}: {error:.2e}");
        }
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
    let all = !device.info().is_software() || std::env::var_os(ALL).is_some();
    let work = if all { u64::MAX } else { SOFTWARE_WORK };
    check(Executor::Gpu, work);
}
