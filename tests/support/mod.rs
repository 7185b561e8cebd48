//! What the integration tests and benchmarks share: golden files, the device, comparisons.

#![allow(dead_code, unused_imports)] // every test binary uses its own part

pub mod engines;
pub mod formula;
mod skipped;
mod tensors;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pentimento::graph::Graph;
use pentimento::plan::{Plan, Target};
use pentimento::tensor::Dtype;
use pentimento::{cpu, gpu, wgpu};

pub use skipped::skip;
pub use tensors::{checkpoint, relative_error, shape, tensor};

/// The folder with goldens, data and weights, named by `PENTIMENTO_SHARED`. Without it the caller
/// skips, and says so.
pub fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from);
    if folder.is_none() {
        skip("PENTIMENTO_SHARED does not name the folder with goldens and data");
    }
    folder
}

/// An adapter, software ones included. Without any the caller skips the GPU part, and says so.
pub fn device() -> Option<&'static gpu::Device> {
    static DEVICE: OnceLock<Option<gpu::Device>> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let options = gpu::DeviceOptions { selector: None, allow_software: true };
            match gpu::Device::open_blocking(&options) {
                Ok(device) => {
                    eprintln!("device: {}", device.info());
                    Some(device)
                }
                Err(error) => {
                    skip(format_args!("what GPUs compute: {error}"));
                    None
                }
            }
        })
        .as_ref()
}

/// A device with no more than WebGPU's default limits and no optional feature, as a browser grants it
/// everywhere; what exceeds them panics. `None` where there is no adapter.
pub fn webgpu_device() -> Option<gpu::Device> {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    pollster::block_on(async {
        let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        for adapter in adapters {
            let limits = wgpu::DeviceDescriptor {
                required_limits: wgpu::Limits::default(),
                ..Default::default()
            };
            if let Ok((device, queue)) = adapter.request_device(&limits).await {
                return gpu::Device::from_parts(device, queue).ok();
            }
        }
        skip("no adapter has WebGPU's default limits");
        None
    })
}

/// A tensor of a `.npy` file of f32, or of i32 that f32 holds exactly.
pub fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    tensor(&bytes)
}

/// A `.npy` file of bytes.
pub fn npy_u8(path: &Path) -> (Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = npyz::NpyFile::new(&bytes[..]).expect("a golden is a .npy file");
    let dims = file.shape().iter().map(|&d| d as usize).collect();
    (dims, file.into_vec::<u8>().expect("the golden holds u8"))
}

/// A `.npy` file of 32-bit integers.
pub fn npy_i32(path: &Path) -> (Vec<usize>, Vec<i32>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = npyz::NpyFile::new(&bytes[..]).expect("a golden is a .npy file");
    let dims = file.shape().iter().map(|&d| d as usize).collect();
    (dims, file.into_vec::<i32>().expect("the golden holds i32"))
}

/// The JSON of a golden's `meta.json` and the like.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("valid JSON")
}

/// Sub-folders of `folder`, sorted.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the goldens are there");
    let mut folders: Vec<PathBuf> =
        entries.map(|e| e.expect("readable").path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

/// Names of the `.npy` files in `folder`, sorted.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<String> = entries.map(|e| name(&e.expect("readable").path())).collect();
    files.retain(|file| file.ends_with(".npy"));
    files.sort();
    files
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name().expect("a file name").to_string_lossy().into_owned()
}

/// The largest `|a - b|`.
pub fn largest_error(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len(), "another number of values");
    actual.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Who computed a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executor {
    /// The twins: plain loops.
    Twins,
    /// The CPU executor with its fast kernels.
    Cpu,
    /// The GPU, f32.
    Gpu,
    /// The GPU, f16 storage, by blocks of channels as where there are cooperative matrices.
    GpuF16,
}

/// The plan of `graph` for an executor; `None` where this machine has no such device.
pub fn plan(graph: &Arc<Graph>, executor: Executor) -> Option<Plan> {
    let target = match executor {
        Executor::Twins | Executor::Cpu => Target::cpu(),
        Executor::Gpu => device()?.target(Dtype::F32),
        Executor::GpuF16 => {
            let device = device()?;
            if !device.info().f16 {
                skip(format_args!("{} has no f16", device.info()));
                return None;
            }
            Target { blocks: true, ..device.target(Dtype::F16) }
        }
    };
    Some(Plan::new(graph.clone(), target).expect("a golden can be planned"))
}

/// Executes a plan.
pub fn execute(plan: Plan, executor: Executor, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let plan = Arc::new(plan);
    match executor {
        Executor::Twins => {
            cpu::Executor::reference(plan).expect("a CPU executor").run(inputs).expect("a result")
        }
        Executor::Cpu => {
            cpu::Executor::new(plan).expect("a CPU executor").run(inputs).expect("a result")
        }
        Executor::Gpu | Executor::GpuF16 => {
            let device = device().expect("a plan for the GPU needs one");
            let mut executor = gpu::Executor::new_blocking(device, plan).expect("a GPU executor");
            executor.run_blocking(inputs).expect("a result")
        }
    }
}

/// Executes `graph`; `None` where this machine has no such device.
pub fn run(graph: &Arc<Graph>, executor: Executor, inputs: &[&[f32]]) -> Option<Vec<Vec<f32>>> {
    Some(execute(plan(graph, executor)?, executor, inputs))
}

/// Deterministic values, roughly normal with mean 0 and deviation 1.
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| {
            let sum: f32 = (0..4)
                .map(|k| formula::uniform(seed.wrapping_mul(4).wrapping_add(k), i as u64))
                .sum();
            (sum - 2.0) * 1.732
        })
        .collect()
}
