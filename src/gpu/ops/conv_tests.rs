//! Every variant of the convolution kernels against plain loops, on shapes that fill no tile.

use std::sync::Arc;
use std::time::Instant;

use crate::gpu::{Device, DeviceOptions, Executor};
use crate::graph::{Activation, Conv2d, Graph, Padding, Param, ParamId, Path};
use crate::plan::{
    Backend, Compute, Epilogue, Kernel, Plan, Sft, Step, Storage, StorageId, Target, Upsample,
    View, scratch_len,
};
use crate::tensor::{Dtype, Shape};

/// A linear congruential generator (Numerical Recipes), values in -1..1.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// What is convolved how.
#[derive(Clone, Debug)]
struct Case {
    kernel: Kernel,
    x: Shape,
    outputs: usize,
    taps: [usize; 2],
    stride: usize,
    padding: Padding,
    dilation: usize,
    groups: usize,
    upsample: Upsample,
    style: bool,
    transposed: bool,
    /// Demodulation, noise, bias, leaky ReLU, SFT and residual.
    epilogue: bool,
    /// Instead of one convolution: `[outputs, first channel, channels, size, dilation, groups]`.
    paths: Vec<[usize; 6]>,
}

impl Case {
    fn new(kernel: Kernel, x: [usize; 4], outputs: usize, size: usize) -> Self {
        Self {
            kernel,
            x: Shape::new(x[0], x[1], x[2], x[3]),
            outputs,
            taps: [size, size],
            stride: 1,
            padding: Padding::all((size / 2) as i32),
            dilation: 1,
            groups: 1,
            upsample: Upsample::None,
            style: false,
            transposed: false,
            epilogue: false,
            paths: Vec::new(),
        }
    }

    fn resized(&self) -> Shape {
        let factor = if self.upsample == Upsample::None { 1 } else { 2 };
        self.x.with_size(self.x.h * factor, self.x.w * factor)
    }

    fn output(&self) -> Shape {
        let x = self.resized();
        if !self.paths.is_empty() {
            return x.with_channels(self.paths.iter().map(|p| p[0]).sum());
        }
        let Padding { top, bottom, left, right } = self.padding;
        let size = |n: usize, padding: i32, k: usize| {
            if self.transposed {
                (n - 1) * self.stride + k - padding as usize
            } else {
                (n + padding as usize - self.dilation * (k - 1) - 1) / self.stride + 1
            }
        };
        let [kh, kw] = self.taps;
        Shape::new(x.n, self.outputs, size(x.h, top + bottom, kh), size(x.w, left + right, kw))
    }
}

/// A plan of one step and what its inputs are.
struct Trial {
    plan: Plan,
    inputs: Vec<Vec<f32>>,
    expected: Vec<f64>,
}

/// Collects parameters, storages and inputs.
struct Maker {
    random: Random,
    graph: Graph,
    storages: Vec<Storage>,
    inputs: Vec<View>,
    values: Vec<Vec<f32>>,
    target: Target,
}

impl Maker {
    fn param(&mut self, dims: &[usize]) -> (ParamId, Vec<f32>) {
        let values = self.random.values(dims.iter().product());
        (self.graph.add_param(Param::from_values("p", dims.to_vec(), &values)), values)
    }

    fn storage(&mut self, shape: Shape, dtype: Dtype) -> View {
        // Samples lie apart, and the first not at the beginning; but where rows are long words, so
        // are these gaps.
        let gap = match (shape.plane(), shape.w) {
            (1, _) => 0,
            (_, 8 | 16 | 60 | 120) => 8,
            _ => 6,
        };
        let view = View {
            storage: StorageId(self.storages.len() as u32),
            offset: gap,
            batch_stride: shape.sample() + gap,
            shape,
        };
        self.storages.push(Storage {
            len: gap + shape.n * view.batch_stride,
            dtype,
            lifetime: [0, 0],
            block: self.storages.len(),
            offset: 0,
        });
        view
    }

    fn input(&mut self, shape: Shape) -> (View, Vec<f32>) {
        let dtype = if shape.plane() == 1 { Dtype::F32 } else { self.target.dtype };
        let view = self.storage(shape, dtype);
        let values = self.random.values(shape.len());
        self.inputs.push(view);
        self.values.push(values.clone());
        (view, values)
    }
}

/// PyTorch's bilinear ×2 or each pixel twice, by the formula of `Op::Resize`.
fn resize(x: &[f64], shape: Shape, upsample: Upsample) -> Vec<f64> {
    let weights = |size: usize, at: usize| {
        let source = (0.5 * (at as f64 + 0.5) - 0.5).max(0.0);
        let first = source as usize;
        [(first, 1.0 - source.fract()), ((first + 1).min(size - 1), source.fract())]
    };
    let mut y = Vec::new();
    for plane in x.chunks_exact(shape.plane()) {
        for h in 0..2 * shape.h {
            for w in 0..2 * shape.w {
                y.push(if upsample == Upsample::Nearest {
                    plane[h / 2 * shape.w + w / 2]
                } else {
                    let mut sum = 0.0;
                    for (row, a) in weights(shape.h, h) {
                        for (column, b) in weights(shape.w, w) {
                            sum += a * b * plane[row * shape.w + column];
                        }
                    }
                    sum
                });
            }
        }
    }
    y
}

/// One convolution (or a path), added to channels from `first_output` on of `y`.
struct Plain<'a> {
    x: &'a [f64],
    from: Shape,
    first_input: usize,
    inputs: usize,
    weight: &'a [f32],
    outputs: usize,
    case: &'a Case,
    taps: [usize; 2],
    padding: [i32; 2],
    dilation: usize,
    groups: usize,
}

impl Plain<'_> {
    fn add(&self, y: &mut [f64], to: Shape, first_output: usize) {
        let [kh, kw] = self.taps;
        let (group_inputs, group_outputs) = (self.inputs / self.groups, self.outputs / self.groups);
        let stride = self.case.stride as i32;
        // Which input feeds output `at` through tap `k`, if any.
        let source = |at: usize, k: usize, padding: i32, size: usize| -> Option<usize> {
            let position = if self.case.transposed {
                let strided = at as i32 + padding - k as i32;
                (strided % stride == 0).then_some(strided / stride)?
            } else {
                at as i32 * stride + (k * self.dilation) as i32 - padding
            };
            usize::try_from(position).ok().filter(|&p| p < size)
        };
        for n in 0..to.n {
            for o in 0..self.outputs {
                for h in 0..to.h {
                    for w in 0..to.w {
                        let mut sum = 0.0;
                        for i in 0..group_inputs {
                            let c = self.first_input + o / group_outputs * group_inputs + i;
                            for u in 0..kh {
                                for v in 0..kw {
                                    let row = source(h, u, self.padding[0], self.from.h);
                                    let column = source(w, v, self.padding[1], self.from.w);
                                    if let (Some(row), Some(column)) = (row, column) {
                                        let plane = (n * self.from.c + c) * self.from.plane();
                                        let at = ((o * group_inputs + i) * kh + u) * kw + v;
                                        sum += f64::from(self.weight[at])
                                            * self.x[plane + row * self.from.w + column];
                                    }
                                }
                            }
                        }
                        y[((n * to.c + first_output + o) * to.h + h) * to.w + w] += sum;
                    }
                }
            }
        }
    }
}

/// Builds the step of `case` for `target`; with `reference`, computes what it must yield.
fn trial(case: &Case, target: &Target, reference: bool) -> Trial {
    let mut maker = Maker {
        random: Random(1),
        graph: Graph::new(),
        storages: Vec::new(),
        inputs: Vec::new(),
        values: Vec::new(),
        target: target.clone(),
    };
    let (x, x_values) = maker.input(case.x);
    let from = case.resized();
    let to = case.output();
    let mut plain: Vec<f64> = x_values.iter().map(|&v| f64::from(v)).collect();
    let mut y = vec![0.0; if reference { to.len() } else { 0 }];
    let style = case.style.then(|| maker.input(Shape::vector(case.x.n, case.x.c)));
    if let Some((_, style)) = &style {
        for (plane, s) in plain.chunks_exact_mut(case.x.plane()).zip(style) {
            plane.iter_mut().for_each(|v| *v *= f64::from(*s));
        }
    }
    let style = style.map(|(view, _)| view);
    if case.upsample != Upsample::None && reference {
        plain = resize(&plain, case.x, case.upsample);
    }
    let compute = if case.paths.is_empty() {
        let dims = [case.outputs, case.x.c / case.groups, case.taps[0], case.taps[1]];
        let (weight, values) = maker.param(&dims);
        if reference {
            let conv = Plain {
                x: &plain,
                from,
                first_input: 0,
                inputs: case.x.c,
                weight: &values,
                outputs: case.outputs,
                case,
                taps: case.taps,
                padding: [case.padding.top, case.padding.left],
                dilation: case.dilation,
                groups: case.groups,
            };
            conv.add(&mut y, to, 0);
        }
        let Case { stride, padding, dilation, groups, upsample, .. } = *case;
        let conv = Conv2d { weight, stride, padding, dilation, groups };
        if case.transposed {
            Compute::ConvTranspose { conv, style }
        } else {
            Compute::Conv { conv, upsample, style }
        }
    } else {
        let mut first_output = 0;
        let paths = case.paths.iter().map(|&[outputs, first, channels, size, dilation, groups]| {
            let (weight, values) = maker.param(&[outputs, channels / groups, size, size]);
            if reference {
                let padding = [(size / 2 * dilation) as i32; 2];
                let conv = Plain {
                    x: &plain,
                    from,
                    first_input: first,
                    inputs: channels,
                    weight: &values,
                    outputs,
                    case,
                    taps: [size, size],
                    padding,
                    dilation,
                    groups,
                };
                conv.add(&mut y, to, first_output);
            }
            first_output += outputs;
            Path { weight, first_channel: first, channels, dilation, groups }
        });
        Compute::MultiPathConv(paths.collect())
    };
    let mut epilogue = Epilogue::default();
    if case.epilogue {
        let (demodulation, d) = maker.input(Shape::vector(to.n, to.c));
        let (noise, noise_values) = maker.param(&[1, 1, to.h, to.w]);
        let (bias, b) = maker.param(&[to.c]);
        let first_channel = to.c / 2;
        let half = to.with_channels(to.c - first_channel);
        let (scale, scales) = maker.input(half);
        let (shift, shifts) = maker.input(half);
        let (residual, residuals) = maker.input(to);
        epilogue = Epilogue {
            demodulation: Some(demodulation),
            gain: 1.5,
            noise: Some((noise, 0.5)),
            bias: Some(bias),
            activation: Activation::LeakyRelu(0.2),
            activation_gain: 1.25,
            sft: Some(Sft { scale, shift, first_channel }),
            residual: Some(residual),
            output_gain: 0.75,
        };
        for (at, v) in y.iter_mut().enumerate() {
            let (n, o, pixel) = (at / to.sample(), at / to.plane() % to.c, at % to.plane());
            *v = *v * f64::from(d[n * to.c + o]) * 1.5 + 0.5 * f64::from(noise_values[pixel]);
            *v += f64::from(b[o]);
            *v = 1.25 * if *v > 0.0 { *v } else { 0.2 * *v };
            if o >= first_channel {
                let at = (n * half.c + o - first_channel) * to.plane() + pixel;
                *v = *v * f64::from(scales[at]) + f64::from(shifts[at]);
            }
            *v = 0.75 * (*v + f64::from(residuals[at]));
        }
    }
    let output = maker.storage(to, target.dtype);
    let mut step = Step {
        name: "trial".to_owned(),
        compute,
        kernel: case.kernel,
        input: Some(x),
        epilogue,
        output,
        tile: None,
        scratch: None,
    };
    let scratch = scratch_len(&step, maker.graph.params(), target);
    if scratch > 0 {
        step.scratch = Some(maker.storage(Shape::vector(1, scratch), Dtype::F32));
    }
    let blocks = maker.storages.iter().map(|s| s.bytes().next_multiple_of(4)).collect();
    let plan = Plan {
        graph: Arc::new(maker.graph),
        target: target.clone(),
        steps: vec![step],
        storages: maker.storages,
        blocks,
        inputs: maker.inputs,
        outputs: vec![output],
    };
    Trial { plan, inputs: maker.values, expected: y }
}

/// A device, its target, and the targets that make every variant of the kernels run on it.
fn targets() -> Option<(Device, Vec<Target>)> {
    let options = DeviceOptions { selector: None, allow_software: true };
    let device = Device::open_blocking(&options).ok()?;
    let own = device.target(Dtype::F32);
    let hardware = Target {
        backend: Backend::Gpu,
        subgroup_size: None,
        workgroup_memory: 16 << 10,
        max_invocations: 256,
        ..own.clone()
    };
    let mut targets = vec![own.clone(), hardware.clone()];
    if device.info().f16 {
        targets.push(Target { dtype: Dtype::F16, ..hardware });
        targets.push(Target { dtype: Dtype::F16, ..own });
    }
    Some((device, targets))
}

/// Relative L2 distance of what the device yields.
fn error(device: &Device, trial: Trial) -> f64 {
    let inputs: Vec<&[f32]> = trial.inputs.iter().map(Vec::as_slice).collect();
    let mut executor = Executor::new_blocking(device, Arc::new(trial.plan)).unwrap();
    let outputs = executor.run_blocking(&inputs).unwrap();
    assert_eq!(outputs[0].len(), trial.expected.len());
    let square = |v: f64| v * v;
    let distance: f64 =
        outputs[0].iter().zip(&trial.expected).map(|(a, b)| square(f64::from(*a) - b)).sum();
    (distance / trial.expected.iter().copied().map(square).sum::<f64>()).sqrt()
}

fn check(cases: &[Case]) {
    let Some((device, targets)) = targets() else { return };
    for case in cases {
        for target in &targets {
            let error = error(&device, trial(case, target, true));
            // Inputs are rounded to the dtype before the device sees them.
            let bound = if target.dtype == Dtype::F16 { 2e-3 } else { 1e-5 };
            assert!(error < bound, "{error:.1e} for {case:?} on {target:?}");
        }
    }
}

#[test]
fn winograd_is_the_convolution() {
    let plain = |x, outputs| Case::new(Kernel::ConvWinograd, x, outputs, 3);
    check(&[
        plain([1, 5, 9, 7], 3),
        plain([2, 17, 13, 21], 70),
        plain([1, 1, 1, 1], 1),
        Case { epilogue: true, style: true, ..plain([2, 9, 10, 6], 12) },
        Case { upsample: Upsample::Nearest, ..plain([1, 6, 5, 9], 8) },
        Case { upsample: Upsample::Bilinear, ..plain([2, 6, 5, 9], 8) },
        Case { upsample: Upsample::Bilinear, style: true, ..plain([1, 4, 1, 1], 2) },
        Case { upsample: Upsample::Bilinear, epilogue: true, ..plain([1, 4, 16, 18], 66) },
    ]);
}

/// The forms for drivers that run on the CPU: rows that fill no group of lanes, channels that fill
/// no block.
#[test]
fn winograd_by_words_is_the_convolution() {
    let Some((device, targets)) = targets() else { return };
    let plain = |x, outputs| Case {
        epilogue: true,
        style: true,
        ..Case::new(Kernel::ConvWinograd, x, outputs, 3)
    };
    let bilinear = |x, outputs| Case { upsample: Upsample::Bilinear, ..plain(x, outputs) };
    for target in targets.iter().filter(|target| target.lanes().is_some()) {
        for (case, form) in [
            (plain([2, 5, 9, 120], 20), "conv_winograd_fused"),
            (bilinear([1, 4, 3, 60], 20), "conv_winograd_fused"),
            (plain([2, 5, 9, 16], 20), "conv_winograd_quads_input"),
            (bilinear([2, 6, 5, 8], 68), "conv_winograd_quads_input"),
        ] {
            let trial = trial(&case, target, true);
            let dispatches = super::record(&trial.plan.steps[0], &trial.plan).unwrap();
            assert_eq!(dispatches[0].shader.kernel, form, "{case:?} on {target:?}");
            let error = error(&device, trial);
            let bound = if target.dtype == Dtype::F32 { 1e-5 } else { 2e-3 };
            assert!(error < bound, "{error:.1e} for {case:?} on {target:?}");
        }
    }
}

/// What every member of the family of matrix products computes; `inputs` of the 1×1 convolution.
fn products(inputs: usize) -> Vec<Case> {
    let plain = |x, outputs, size| Case::new(Kernel::ConvGemm, x, outputs, size);
    vec![
        plain([1, 5, 9, 7], 3, 3),
        plain([2, inputs, 11, 13], 70, 1),
        Case { style: true, ..plain([2, 17, 6, 5], 9, 3) },
        Case { epilogue: true, ..plain([2, 9, 10, 6], 12, 5) },
        Case { stride: 2, padding: Padding::pair(0, 1), ..plain([1, 18, 9, 12], 67, 3) },
        Case { stride: 2, dilation: 2, taps: [2, 3], groups: 3, ..plain([2, 51, 9, 8], 6, 3) },
        Case { upsample: Upsample::Bilinear, style: true, ..plain([2, 3, 4, 3], 5, 3) },
        Case { upsample: Upsample::Nearest, ..plain([1, 3, 4, 3], 5, 3) },
    ]
}

#[test]
fn gemm_is_the_convolution() {
    check(&products(19));
}

/// Large tiles, of which some channels and pixels are not there; the others are tried above.
#[test]
fn large_tiles_multiply() {
    let Some((device, targets)) = targets() else { return };
    let Some(target) = targets.iter().find(|target| target.backend == Backend::Gpu) else { return };
    let case =
        Case { groups: 2, style: true, ..Case::new(Kernel::ConvGemm, [2, 38, 9, 17], 140, 3) };
    let outputs: Vec<_> = (0..super::conv_gemm::tiles(target))
        .map(|tile| {
            let mut trial = trial(&case, target, true);
            trial.plan.steps[0].tile = Some(tile);
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
        eprintln!("skipped: {} has no cooperative matrices", device.info());
        return;
    }
    let mut cases = products(41);
    cases.extend([
        Case {
            transposed: true,
            stride: 2,
            style: true,
            padding: Padding::default(),
            ..Case::new(Kernel::ConvTranspose, [2, 18, 5, 3], 66, 3)
        },
        Case {
            paths: vec![[8, 0, 8, 5, 1, 8], [4, 2, 4, 7, 1, 2], [3, 5, 3, 1, 1, 1]],
            ..Case::new(Kernel::MultiPathConv, [2, 8, 17, 5], 0, 1)
        },
    ]);
    for (index, case) in cases.iter().enumerate() {
        let tiles = super::tiles(&trial(case, &own, false).plan.steps[0], &own);
        for tile in [None, Some(index % tiles)] {
            let mut trial = trial(case, &own, true);
            trial.plan.steps[0].tile = tile;
            let dispatches = super::record(&trial.plan.steps[0], &trial.plan).unwrap();
            let kernels = dispatches.iter().map(|dispatch| dispatch.shader.kernel);
            assert!(kernels.into_iter().all(|kernel| kernel == "conv_gemm_cooperative"));
            let error = error(&device, trial);
            assert!(error < 2e-3, "{error:.1e} for {case:?}, tile {tile:?} on {own:?}");
        }
    }
}

#[test]
fn transposed_convolutions_scatter() {
    let plain = |x, outputs, size| Case {
        transposed: true,
        stride: 2,
        padding: Padding::default(),
        ..Case::new(Kernel::ConvTranspose, x, outputs, size)
    };
    check(&[
        plain([1, 5, 4, 7], 3, 3),
        Case { style: true, ..plain([2, 18, 5, 3], 66, 3) },
        Case { epilogue: true, padding: Padding::pair(1, 0), ..plain([1, 4, 6, 5], 6, 4) },
        Case { stride: 3, taps: [2, 5], ..plain([2, 3, 3, 4], 5, 2) },
        Case { stride: 1, ..plain([1, 3, 3, 4], 5, 3) },
        plain([1, 3, 1, 1], 2, 1),
    ]);
}

#[test]
fn all_paths_are_computed() {
    let plain = |x, paths: &[[usize; 6]]| Case {
        paths: paths.to_vec(),
        ..Case::new(Kernel::MultiPathConv, x, 0, 1)
    };
    check(&[
        plain([1, 7, 19, 23], &[[5, 0, 7, 3, 1, 1], [9, 0, 7, 3, 2, 1], [2, 0, 7, 3, 3, 1]]),
        plain([2, 8, 17, 5], &[[8, 0, 8, 5, 1, 8], [4, 2, 4, 7, 1, 2], [3, 5, 3, 1, 1, 1]]),
        Case { epilogue: true, ..plain([2, 3, 9, 18], &[[3, 0, 3, 3, 1, 3], [4, 0, 3, 5, 2, 1]]) },
        // Neither this halo nor this kernel fits into workgroup memory.
        plain([1, 2, 21, 20], &[[2, 0, 2, 3, 23, 1], [9, 0, 1, 13, 1, 1]]),
    ]);
}

/// `cargo test --lib time_ -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn time_others() {
    let Some((device, targets)) = targets() else { return };
    let gemm = |x, outputs, size| Case::new(Kernel::ConvGemm, x, outputs, size);
    for case in [
        gemm([1, 512, 32, 32], 512, 3),
        gemm([1, 512, 64, 64], 256, 1),
        Case { stride: 2, ..gemm([1, 128, 128, 128], 256, 3) },
        Case { kernel: Kernel::ConvDirect, ..gemm([1, 64, 64, 64], 64, 3) },
        Case {
            transposed: true,
            stride: 2,
            kernel: Kernel::ConvTranspose,
            ..gemm([1, 256, 64, 64], 128, 3)
        },
        Case {
            paths: vec![[32, 0, 64, 3, 1, 1], [32, 0, 64, 3, 2, 1], [32, 0, 64, 3, 3, 1]],
            kernel: Kernel::MultiPathConv,
            ..gemm([1, 64, 64, 64], 96, 3)
        },
    ] {
        for target in &targets[..2] {
            time(&device, target, &case);
        }
    }
}

/// The 3×3 convolutions of GFPGANv1Clean 512.
#[test]
#[ignore = "a measurement"]
fn time_winograd() {
    let Some((device, targets)) = targets() else { return };
    for [channels, size] in [[512, 32], [512, 64], [256, 128], [128, 256], [64, 512]] {
        let case = Case::new(Kernel::ConvWinograd, [1, channels, size, size], channels, 3);
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
    let Trial { plan, inputs, .. } = trial(case, target, false);
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
