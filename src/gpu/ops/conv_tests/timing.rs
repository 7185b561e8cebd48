//! How long convolution kernels take, for whoever asks: `cargo test --lib time_ -- --ignored --nocapture`

use std::sync::Arc;
use std::time::Instant;

use super::targets;
use super::trial::{Case, Trial, trial};
use crate::gpu::{Device, Executor};
use crate::graph::Param;
use crate::plan::Target;

#[test]
#[ignore = "a measurement"]
fn time_others() {
    let Some((device, targets)) = targets() else { return };
    let gemm = |x, outputs, size| Case::new("conv_gemm", x, outputs, size);
    for case in [
        gemm([1, 512, 32, 32], 512, 3),
        gemm([1, 512, 64, 64], 256, 1),
        Case { stride: 2, ..gemm([1, 128, 128, 128], 256, 3) },
        Case { kernel: "conv_direct", ..gemm([1, 64, 64, 64], 64, 3) },
        Case { transposed: true, stride: 2, kernel: "conv_gemm", ..gemm([1, 256, 64, 64], 128, 3) },
        Case {
            paths: vec![[32, 0, 64, 3, 1, 1], [32, 0, 64, 3, 2, 1], [32, 0, 64, 3, 3, 1]],
            kernel: "multi_path_conv",
            ..gemm([1, 64, 64, 64], 96, 3)
        },
    ] {
        time(&device, &targets[0], &case);
    }
}

/// The 3×3 convolutions of GFPGANv1Clean 512.
#[test]
#[ignore = "a measurement"]
fn time_winograd() {
    let Some((device, targets)) = targets() else { return };
    for [channels, size] in [[512, 32], [512, 64], [256, 128], [128, 256], [64, 512]] {
        let case = Case::new("conv_winograd", [1, channels, size, size], channels, 3);
        time(&device, &targets[0], &case);
    }
}

/// Processor time of all threads, in seconds; other processes do not disturb it.
fn processor_time() -> Option<f64> {
    let mut sum = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Some(sum / 1e9)
}

fn time(device: &Device, target: &Target, case: &Case) {
    let Trial { plan, inputs, .. } = trial(case, target);
    let weights: usize = plan.graph.params().iter().map(Param::len).sum();
    let pixels = if case.transposed { case.x.plane() } else { case.output().plane() };
    let work = 2.0 * (case.x.n * pixels * weights) as f64;
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut executor = Executor::new_blocking(device, Arc::new(plan)).unwrap();
    let compiling = processor_time().unwrap_or_default();
    executor.run_blocking(&inputs).unwrap();
    let compiling = processor_time().unwrap_or_default() - compiling;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let (mut wall, mut processor) = (f64::MAX, f64::MAX);
    for _ in 0..4 {
        let (start, used) = (Instant::now(), processor_time().unwrap_or_default());
        pollster::block_on(executor.submit_steps()).unwrap();
        executor.device.inner.raw.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        wall = wall.min(start.elapsed().as_secs_f64());
        processor = processor.min((processor_time().unwrap_or_default() - used) / cores);
    }
    println!(
        "{:?} on {:?} {} → {}: {:.1} ms, {:.1} GFLOP/s; by processor time {:.1} ms, {:.1} GFLOP/s; {:.1} s for the first run",
        case.kernel,
        target.backend,
        case.x,
        case.output(),
        1e3 * wall,
        work / wall / 1e9,
        1e3 * processor,
        work / processor / 1e9,
        compiling,
    );
}
