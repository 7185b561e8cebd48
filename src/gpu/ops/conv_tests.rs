//! Every variant of the convolution kernels against its twin, on shapes that fill no tile.

mod cases;
mod timing;
mod trial;

use std::sync::Arc;

use crate::gpu::testing::relative_error;
use crate::gpu::{Device, DeviceOptions, Dispatch, Executor};
use crate::graph::Padding;
use crate::plan::{Cooperative, Target, Upsample};
use crate::skipped::skip;
use crate::tensor::Dtype;

use cases::{alike, blocks, patches, paths, products, transposed, winograd};
use trial::{Case, Trial, trial};

/// A device, and its targets in f32 and f16, without cooperative matrices.
fn targets() -> Option<(Device, Vec<Target>)> {
    let options = DeviceOptions { selector: None, allow_software: true };
    let opened = Device::open_blocking(&options);
    let device = opened.map_err(|error| skip(format_args!("what GPUs compute: {error}"))).ok()?;
    let mut targets = vec![device.target(Dtype::F32)];
    if device.info().f16 {
        let halves = device.target(Dtype::F16);
        targets.push(Target { cooperative: None, blocks: false, ..halves });
    }
    Some((device, targets))
}

/// Relative L2 distance of what the device yields from what the twin does.
fn error(device: &Device, trial: Trial) -> f64 {
    let expected = trial.expected();
    let inputs: Vec<&[f32]> = trial.inputs.iter().map(Vec::as_slice).collect();
    let mut executor = Executor::new_blocking(device, Arc::new(trial.plan)).unwrap();
    let outputs = executor.run_blocking(&inputs).unwrap();
    relative_error(&outputs[0], &expected)
}

/// The trial of `case` for `target` yields what it must.
fn assert_close(device: &Device, trial: Trial, case: &Case, target: &Target) {
    let error = error(device, trial);
    // Inputs are rounded to the dtype before the device sees them.
    let bound = if target.dtype == Dtype::F16 { 2e-3 } else { 1e-5 };
    assert!(error < bound, "{error:.1e} for {case:?} on {target:?}");
}

fn check(cases: &[Case]) {
    let Some((device, targets)) = targets() else { return };
    for case in cases {
        for target in &targets {
            assert_close(&device, trial(case, target), case, target);
        }
    }
}

/// Whether the step reads and writes blocks, as far as channels are whole ones.
fn assert_blocked(trial: &Trial, case: &Case) {
    let step = &trial.plan.steps[0];
    for view in [step.operands[0], step.output] {
        assert_eq!(view.blocked, view.shape.c.is_multiple_of(8), "{case:?}");
    }
}

#[test]
fn blocks_of_channels_are_read_and_written() {
    let Some((device, targets)) = targets() else { return };
    let Some(halves) = targets.iter().find(|target| target.dtype == Dtype::F16) else {
        skip(format_args!("{} has no f16", device.info()));
        return;
    };
    let target = &Target { blocks: true, ..halves.clone() };
    for case in blocks() {
        let trial = trial(&case, target);
        assert_blocked(&trial, &case);
        assert_close(&device, trial, &case, target);
    }
}

#[test]
fn winograd_is_the_convolution() {
    check(&winograd());
}

#[test]
fn gemm_is_the_convolution() {
    check(&products(19));
}

/// Four parts of a workgroup sum shares of the depth, the last of which some have nothing of; by
/// cooperative matrices too, where the device has them.
#[test]
fn shared_depths_add_up() {
    let Some((device, targets)) = targets() else { return };
    let target = targets[0].clone();
    if target.workgroup_memory < 32 << 10 || target.max_invocations < 256 {
        skip(format_args!("{} has no room for four parts", device.info()));
        return;
    }
    let halves = device.target(Dtype::F16);
    let plain = |x, outputs| Case::new("conv_gemm", x, outputs, 3);
    for target in [Some(target), halves.cooperative.is_some().then_some(halves)] {
        let Some(target) = target else { continue };
        for (case, shared) in [
            (Case { epilogue: true, ..plain([2, 70, 6, 13], 70) }, true),
            (Case { stride: 2, groups: 2, style: true, ..plain([1, 66, 9, 12], 66) }, true),
            (Case { epilogue: true, ..plain([2, 40, 3, 8], 70) }, true),
            (plain([1, 32, 6, 5], 9), false),
        ] {
            let trial = trial(&case, &target);
            let dispatches = super::record(&trial.plan.steps[0], &trial.plan).unwrap();
            let defines = &dispatches[0].shader.defines;
            assert_eq!(defines.iter().any(|(name, _)| *name == "SPLITS"), shared, "{case:?}");
            if target.cooperative.is_some() {
                assert_eq!(trial.tiles().len() == 1, shared, "{case:?}");
            }
            if shared {
                assert_close(&device, trial, &case, &target);
            }
        }
    }
}

/// In direct convolutions 16 invocations, or 64, sum the channels of each pixel; some of them have none
/// of the last channels.
#[test]
fn shared_channels_add_up() {
    let Some((device, targets)) = targets() else { return };
    let plain = |x, outputs, size| Case::new("conv_direct", x, outputs, size);
    for target in &targets {
        // As much as WebGPU has by default: sums of four channels fit, of eight they do not.
        let target = &Target { workgroup_memory: 16 << 10, ..target.clone() };
        for (case, shared) in [
            (Case { style: true, ..plain([2, 70, 9, 13], 3, 1) }, true),
            (Case { epilogue: true, ..plain([2, 40, 7, 6], 3, 3) }, true),
            (Case { style: true, ..plain([2, 130, 5, 9], 3, 1) }, true),
            (Case { stride: 2, groups: 2, ..plain([1, 66, 9, 12], 6, 3) }, true),
            (Case { upsample: Upsample::Bilinear, ..plain([1, 33, 3, 5], 4, 3) }, true),
            (plain([1, 40, 6, 5], 1, 1), true),
            (plain([1, 40, 6, 5], 5, 1), false),
            (plain([1, 17, 6, 5], 3, 1), true),
            (plain([1, 15, 6, 5], 3, 1), false),
        ] {
            let trial = trial(&case, target);
            let dispatches = super::record(&trial.plan.steps[0], &trial.plan).unwrap();
            let defines = &dispatches[0].shader.defines;
            assert_eq!(defines.iter().any(|(name, _)| *name == "PARTS"), shared, "{case:?}");
            assert_close(&device, trial, &case, target);
        }
    }
}

/// Large tiles, of which some channels and pixels are not there; the others are tried above.
#[test]
fn large_tiles_multiply() {
    let Some((device, targets)) = targets() else { return };
    // Tiles without shared depths, which fit any device.
    let target = &Target { workgroup_memory: 16 << 10, max_invocations: 256, ..targets[0].clone() };
    let case = Case { groups: 2, style: true, ..Case::new("conv_gemm", [2, 38, 9, 17], 140, 3) };
    let tiles = trial(&case, target).tiles();
    let outputs: Vec<_> = (tiles.into_iter())
        .map(|tile| {
            let mut trial = trial(&case, target);
            trial.plan.steps[0].variant = tile.clone();
            let inputs: Vec<&[f32]> = trial.inputs.iter().map(Vec::as_slice).collect();
            let plan = Arc::new(trial.plan.clone());
            let outputs =
                Executor::new_blocking(&device, plan).unwrap().run_blocking(&inputs).unwrap();
            assert!(error(&device, trial) < 1e-5, "tile {tile}");
            outputs
        })
        .collect();
    assert!(outputs.len() > 1 && outputs.iter().all(|output| *output == outputs[0]));
}

/// Every tile of the family, by the convolutions above.
#[test]
fn cooperative_matrices_multiply() {
    let Some((device, _)) = targets() else { return };
    let own = device.target(Dtype::F16);
    if own.cooperative.is_none() {
        skip(format_args!("{} has no cooperative matrices", device.info()));
        return;
    }
    let mut cases = products(41);
    cases.extend([
        Case {
            transposed: true,
            stride: 2,
            style: true,
            padding: Padding::default(),
            ..Case::new("conv_gemm", [2, 18, 5, 3], 66, 3)
        },
        Case {
            paths: vec![[8, 0, 8, 5, 1, 8], [4, 2, 4, 7, 1, 2], [3, 5, 3, 1, 1, 1]],
            ..Case::new("multi_path_conv", [2, 8, 17, 5], 0, 1)
        },
    ]);
    cases.extend(alike());
    cases.extend(blocks().into_iter().filter(|case| case.kernel != "conv_winograd").map(|case| {
        let kernel = if case.paths.is_empty() { "conv_gemm" } else { case.kernel };
        Case { kernel, ..case }
    }));
    for (index, case) in cases.iter().enumerate() {
        let tiles = trial(case, &own).tiles();
        for tile in [&tiles[0], &tiles[index % tiles.len()]] {
            let mut trial = trial(case, &own);
            trial.plan.steps[0].variant = tile.clone();
            let dispatches = super::record(&trial.plan.steps[0], &trial.plan).unwrap();
            let kernels = dispatches.iter().map(|dispatch| dispatch.shader.kernel);
            assert!(kernels.into_iter().all(|kernel| kernel == "conv_gemm_cooperative"));
            let error = error(&device, trial);
            assert!(error < 2e-3, "{error:.1e} for {case:?}, {tile} on {own:?}");
        }
    }
}

#[test]
fn paths_that_are_alike_have_one_launch() {
    let matrices = Cooperative { side: 16, lanes: 32, narrowest: 32 };
    let target = Target {
        dtype: Dtype::F16,
        workgroup_memory: 48 << 10,
        max_invocations: 1024,
        blocks: true,
        cooperative: Some(matrices),
        ..Target::webgpu_defaults()
    };
    let others = vec![[8, 0, 8, 3, 1, 1], [4, 0, 8, 3, 1, 1]];
    let others = Case { paths: others, ..Case::new("multi_path_conv", [1, 8, 9, 9], 0, 1) };
    for (case, launches) in alike().iter().zip([1, 1]).chain([(&others, 2)]) {
        let plan = trial(case, &target).plan;
        let dispatches = super::record(&plan.steps[0], &plan).unwrap();
        assert_eq!(dispatches.len(), launches, "{case:?}");
        assert_eq!(dispatches[0].shader.kernel, "conv_gemm_cooperative");
    }
}

/// Tiles of the family yield the convolution, and all of them the same bits. Software drivers compile
/// a kernel for seconds: a case has the default tile and one other, which differs from case to case.
fn check_patches(cases: std::ops::Range<usize>) {
    let Some((device, _)) = targets() else { return };
    let own = device.target(Dtype::F16);
    if own.cooperative.is_none() {
        skip(format_args!("{} has no cooperative matrices", device.info()));
        return;
    }
    for (index, case) in patches().iter().enumerate().skip(cases.start).take(cases.len()) {
        let tiles = trial(case, &own).tiles();
        assert!(tiles.iter().all(|tile| tile.name() == "conv_patch_cooperative"));
        let mut outputs = Vec::new();
        for tile in [&tiles[0], &tiles[tiles.len() - 1 - index % tiles.len()]] {
            let mut trial = trial(case, &own);
            trial.plan.steps[0].variant = tile.clone();
            let inputs: Vec<&[f32]> = trial.inputs.iter().map(Vec::as_slice).collect();
            let plan = Arc::new(trial.plan.clone());
            let mut executor = Executor::new_blocking(&device, plan).unwrap();
            outputs.push(executor.run_blocking(&inputs).unwrap());
            let error = error(&device, trial);
            assert!(error < 2e-3, "{error:.1e} for {case:?}, {tile} on {own:?}");
        }
        assert_eq!(outputs[0], outputs[1], "{case:?}");
    }
}

#[test]
fn patches_multiply_by_cooperative_matrices() {
    check_patches(0..2);
}

#[test]
fn cooperative_patches_have_epilogues() {
    check_patches(2..4);
}

#[test]
fn cooperative_patches_have_steps_between_taps() {
    check_patches(4..6);
}

#[test]
fn cooperative_patches_have_any_taps() {
    check_patches(6..7);
}

#[test]
fn cooperative_patches_are_read_enlarged() {
    check_patches(7..10);
}

#[test]
fn cooperative_patches_have_paths() {
    check_patches(10..11);
}

#[test]
fn transposed_convolutions_scatter() {
    check(&transposed());
}

#[test]
fn all_paths_are_computed() {
    check(&paths());
}

/// What the cases launch on a device like `target`, by every tile that there is.
pub(in crate::gpu) fn launches(target: &Target) -> Vec<Dispatch> {
    let few = Case { epilogue: true, ..Case::new("conv_gemm", [2, 70, 6, 13], 70, 3) };
    let narrow = Case { style: true, ..Case::new("conv_direct", [2, 70, 9, 13], 3, 1) };
    let mut cases = [winograd(), products(41), transposed(), paths(), vec![few, narrow]].concat();
    cases.extend(alike());
    if target.cooperative.is_some() {
        // Halves are not transformed.
        cases.retain(|case| case.kernel != "conv_winograd");
        cases.extend(patches());
    }
    if target.blocks {
        cases.extend(blocks().into_iter().filter(|case| case.kernel != "conv_winograd"));
    }
    let launches = |case: &Case| {
        let mut trial = trial(case, target);
        let tiles = trial.tiles();
        let record = |variant| {
            trial.plan.steps[0].variant = variant;
            super::record(&trial.plan.steps[0], &trial.plan).unwrap()
        };
        tiles.into_iter().flat_map(record).collect::<Vec<_>>()
    };
    cases.iter().flat_map(launches).collect()
}

/// Kernels that run without wgpu's checks yield the same bits with them: no index was ever out of
/// bounds.
#[test]
fn unchecked_kernels_pass_the_checks() {
    let Some((device, targets)) = targets() else { return };
    let Some((checked, _)) = self::targets() else { return };
    checked.inner.pipelines.checked.store(true, std::sync::atomic::Ordering::Relaxed);
    let halves = Some(device.target(Dtype::F16)).filter(|target| target.cooperative.is_some());
    let shared = Case::new("conv_gemm", [2, 70, 6, 13], 70, 3);
    let staged = patches();
    for (case, target) in [
        (winograd().swap_remove(1), Some(&targets[0])),
        (products(41).swap_remove(5), Some(&targets[0])),
        (shared.clone(), Some(&targets[0])),
        (products(41).swap_remove(5), halves.as_ref()),
        (shared, halves.as_ref()),
        (staged[3].clone(), halves.as_ref()),
        (staged[9].clone(), halves.as_ref()),
    ] {
        let Some(target) = target else { continue };
        let Trial { plan, inputs, .. } = trial(&case, target);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let run = |device: &Device| {
            let plan = Arc::new(plan.clone());
            Executor::new_blocking(device, plan).unwrap().run_blocking(&inputs).unwrap()
        };
        assert_eq!(run(&device), run(&checked), "{case:?} on {target:?}");
    }
}
