//! The executor and every kernel of this folder against the twins.

use std::sync::Arc;
use std::time::Duration;

use super::{check, device, param, plan, random};
use crate::Error;
use crate::gpu::{Device, DeviceOptions, Executor, predict};
use crate::graph::{Activation, Conv2d, Graph, Interpolation, NodeId, Op, Padding, ParamId, ops};
use crate::pixels::PixelFormat;
use crate::plan::{Plan, Target};
use crate::tensor::{Dtype, Shape};

/// A graph that applies `build` to an input of `shape`.
fn graph(shape: Shape, build: impl Fn(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut graph = Graph::new();
    let x = graph.add_input("x", shape);
    let y = build(&mut graph, x);
    graph.set_output(y);
    graph
}

/// `op` on `x`, where all fits.
fn add(graph: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    graph.add(op, inputs).unwrap()
}

fn activations() -> Vec<Graph> {
    let kinds: [fn(&mut Graph) -> Activation; 8] = [
        |_| Activation::LeakyRelu(0.2),
        |graph| Activation::Prelu(param(graph, &[3])),
        |_| Activation::Silu,
        |_| Activation::Sigmoid,
        |_| Activation::Tanh,
        |_| Activation::Gelu,
        |_| Activation::Mish,
        |_| Activation::Clamp(-0.25, 0.5),
    ];
    let build = |kind: fn(&mut Graph) -> Activation| {
        graph(Shape::new(2, 3, 5, 7), |graph, x| {
            let large = add(graph, ops::Scale(3.0), &[x]);
            let bias = param(graph, &[3]);
            let biased = add(graph, ops::Bias(bias), &[large]);
            let activation = kind(graph);
            let active = add(graph, activation, &[biased]);
            let scaled = add(graph, ops::Scale(1.5), &[active]);
            add(graph, ops::Add, &[scaled, x])
        })
    };
    kinds.into_iter().map(build).collect()
}

fn convolution(x: Shape, weight: [usize; 4], edit: impl Fn(&mut Conv2d)) -> Graph {
    graph(x, |graph, x| {
        let mut conv = Conv2d::same(param(graph, &weight), weight[2]);
        edit(&mut conv);
        add(graph, conv, &[x])
    })
}

fn convolutions() -> Vec<Graph> {
    let resized = |interpolation| {
        graph(Shape::new(1, 3, 3, 4), move |graph, x| {
            let op = ops::Resize { height: 6, width: 8, interpolation, step: [0.5; 2] };
            let up = add(graph, op, &[x]);
            let conv = Conv2d::same(param(graph, &[4, 3, 3, 3]), 3);
            add(graph, conv, &[up])
        })
    };
    vec![
        convolution(Shape::new(1, 3, 9, 7), [8, 3, 3, 3], |_| ()),
        convolution(Shape::new(2, 5, 6, 11), [11, 5, 3, 3], |c| c.stride = 2),
        convolution(Shape::new(1, 4, 9, 9), [6, 2, 5, 5], |c| {
            c.groups = 2;
            c.dilation = 2;
            c.padding = Padding::pair(3, 4);
        }),
        convolution(Shape::new(1, 7, 1, 1), [3, 7, 1, 1], |_| ()),
        convolution(Shape::new(2, 3, 6, 5), [2, 3, 1, 7], |c| {
            c.padding = Padding { top: 0, bottom: 1, left: 3, right: 2 };
        }),
        convolution(Shape::new(2, 6, 9, 5), [6, 1, 3, 3], |c| c.groups = 6),
        convolution(Shape::new(1, 4, 8, 9), [4, 1, 5, 5], |c| {
            c.groups = 4;
            c.stride = 2;
        }),
        resized(Interpolation::Nearest),
        resized(Interpolation::Bilinear),
    ]
}

/// Everything that an epilogue can do at once, with a batch of two.
fn styled() -> Graph {
    graph(Shape::new(2, 6, 5, 7), |graph, x| {
        let code = graph.add_input("style", Shape::vector(2, 9));
        let norm = add(graph, ops::PixelNorm, &[code]);
        let weight = param(graph, &[6, 9]);
        let style = add(graph, ops::Linear(weight), &[norm]);
        let conv = Conv2d::same(param(graph, &[8, 6, 3, 3]), 3);
        let op = ops::ModulatedConv2d { conv, demodulate: true };
        let y = add(graph, op, &[x, style]);
        let y = add(graph, ops::Scale(1.4), &[y]);
        let noise = param(graph, &[1, 1, 5, 7]);
        let y = add(graph, ops::Noise { noise, strength: 0.3 }, &[y]);
        let bias = param(graph, &[8]);
        let y = add(graph, ops::Bias(bias), &[y]);
        let y = add(graph, Activation::LeakyRelu(0.2), &[y]);
        let [scale, shift] = [0, 1].map(|_| {
            let conv = Conv2d::same(param(graph, &[4, 6, 1, 1]), 1);
            add(graph, conv, &[x])
        });
        add(graph, ops::Sft { first_channel: 4 }, &[y, scale, shift])
    })
}

/// Layers side by side, by words and value by value, and factors.
fn layers() -> Vec<Graph> {
    let side_by_side = |x, inputs, kernel: Option<usize>| {
        graph(x, move |graph, x| {
            let mut layer = |first, outputs| {
                let mut dims = vec![outputs, inputs];
                dims.extend(kernel.into_iter().flat_map(|size| [size, size]));
                let bias = kernel.is_none().then(|| param(graph, &[outputs]));
                ops::Layer { weight: param(graph, &dims), bias, first }
            };
            let layers = vec![layer(0, 5), layer(8, 70)];
            add(graph, ops::Linears { layers, demodulate: kernel.is_some() }, &[x])
        })
    };
    vec![
        side_by_side(Shape::vector(1, 24), 12, None),
        side_by_side(Shape::vector(3, 21), 13, None),
        side_by_side(Shape::vector(1, 24), 16, Some(3)),
        side_by_side(Shape::vector(5, 17), 7, Some(1)),
    ]
}

#[test]
fn layers_side_by_side() {
    (0..layers().len()).for_each(|i| check(|| layers().swap_remove(i)));
}

fn resamplings() -> Vec<Graph> {
    let upfirdn = |up, down, padding: Padding| {
        graph(Shape::new(2, 3, 5, 6), move |graph, x| {
            let kernel = param(graph, &[4, 3]);
            add(graph, ops::Upfirdn2d { kernel, up, down, padding }, &[x])
        })
    };
    let resize = |interpolation, height, width, step| {
        graph(Shape::new(2, 2, 5, 7), move |graph, x| {
            add(graph, ops::Resize { height, width, interpolation, step }, &[x])
        })
    };
    let shuffle = |op: Op, c, h, w| {
        graph(Shape::new(2, c, h, w), move |graph, x| {
            let y = add(graph, op.clone(), &[x]);
            add(graph, ops::Scale(0.5), &[y])
        })
    };
    let partition = |dilated, reverse| {
        let windows = if reverse { [1, 2] } else { [2, 3] };
        Op::from(ops::WindowPartition { windows, dilated, reverse })
    };
    vec![
        upfirdn(1, 1, Padding::pair(2, 1)),
        upfirdn(2, 1, Padding::pair(2, 1)),
        upfirdn(3, 2, Padding::pair(0, 2)),
        resize(Interpolation::Nearest, 8, 3, [5.0 / 8.0, 7.0 / 3.0]),
        resize(Interpolation::Bilinear, 2, 3, [2.0; 2]),
        resize(Interpolation::Bilinear, 10, 14, [0.5; 2]),
        resize(Interpolation::BilinearAlignCorners, 9, 1, [0.0; 2]),
        shuffle(ops::PixelShuffle(2).into(), 8, 3, 5),
        shuffle(ops::PixelUnshuffle(2).into(), 3, 4, 6),
        shuffle(partition(false, false), 3, 4, 6),
        shuffle(partition(true, false), 3, 4, 6),
        shuffle(partition(false, true), 3, 4, 6),
        shuffle(partition(true, true), 3, 4, 6),
    ]
}

/// Windows, borders, and factors per channel.
fn windows() -> Vec<Graph> {
    let on = |shape, op: Op| graph(shape, move |graph, x| add(graph, op.clone(), &[x]));
    let shape = Shape::new(2, 3, 7, 5);
    vec![
        on(shape, ops::MaxPool2d { kernel: 3, stride: 2, padding: 1 }.into()),
        on(shape, ops::AdaptiveAvgPool2d { height: 3, width: 2 }.into()),
        on(shape, ops::ReflectPad(Padding { top: 1, bottom: 2, left: 0, right: 4 }).into()),
        graph(shape, |graph, x| {
            let mean = add(graph, ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[x]);
            add(graph, ops::ScaleChannels, &[x, mean])
        }),
    ]
}

/// What the transformers bring; `tests/ops` compares it with its twins.
fn normalisations_and_attention() -> Vec<Graph> {
    let shape = Shape::new(2, 6, 5, 7);
    let normalised = |op: fn(ParamId) -> Op| {
        graph(shape, move |graph, x| {
            let op = op(param(graph, &[6]));
            add(graph, op, &[x])
        })
    };
    vec![
        normalised(|weight| ops::GroupNorm { groups: 3, epsilon: 1e-6, weight }.into()),
        normalised(|weight| ops::LayerNorm { epsilon: 1e-5, weight }.into()),
        graph(shape, |graph, x| {
            let style = graph.add_input("style", Shape::new(2, 6, 3, 4));
            add(graph, ops::AdaIn { epsilon: 1e-5 }, &[x, style])
        }),
        graph(shape, |graph, x| add(graph, ops::Attention { heads: 2 }, &[x, x, x])),
        graph(shape, |graph, x| {
            let bias = param(graph, &[2, 9, 7]);
            let (window, offset) = ([4, 3], [2, 1]);
            let op = ops::WindowAttention { heads: 2, window, offset, margin: 1, bias };
            add(graph, op, &[x, x, x])
        }),
        graph(shape, |graph, x| {
            let temperature = param(graph, &[2]);
            add(graph, ops::ChannelAttention { heads: 2, temperature }, &[x, x, x])
        }),
        graph(shape, |graph, x| {
            let index = add(graph, ops::ArgMax, &[x]);
            let table = param(graph, &[6, 4]);
            add(graph, ops::Embedding(table), &[index])
        }),
    ]
}

/// A network whose values lie by blocks where they may: resized, filtered, added, joined and parted;
/// one of its parts does not begin with a block.
fn blocks() -> Graph {
    graph(Shape::new(2, 3, 6, 8), |graph, x| {
        let conv = |graph: &mut Graph, x, inputs, outputs| {
            let weight = param(graph, &[outputs, inputs, 3, 3]);
            add(graph, Conv2d::same(weight, 3), &[x])
        };
        let first = conv(graph, x, 3, 16);
        let first = add(graph, Activation::Silu, &[first]);
        let op =
            |height, width, interpolation, step| ops::Resize { height, width, interpolation, step };
        let small = add(graph, op(3, 4, Interpolation::Bilinear, [2.0; 2]), &[first]);
        let large = add(graph, op(6, 8, Interpolation::Nearest, [0.5; 2]), &[small]);
        let corners = op(6, 8, Interpolation::BilinearAlignCorners, [0.0; 2]);
        let corners = add(graph, corners, &[small]);
        let kernel = param(graph, &[4, 3]);
        let padding = Padding { top: 2, bottom: 1, left: 1, right: 1 };
        let blurred = add(graph, ops::Upfirdn2d { kernel, up: 1, down: 1, padding }, &[large]);
        let sum = add(graph, ops::Add, &[blurred, corners]);
        let value = param(graph, &[1, 8, 6, 8]);
        let constant = add(graph, ops::Constant { value, batch: 2 }, &[]);
        let whole = add(graph, ops::Concat, &[constant, sum]);
        let part = add(graph, ops::Slice { start: 8, end: 16 }, &[whole]);
        let twice = add(graph, ops::Add, &[part, part]);
        let second = conv(graph, twice, 8, 24);
        let second = add(graph, ops::Add, &[second, whole]);
        let last = conv(graph, second, 24, 32);
        let large = add(graph, ops::PixelShuffle(2), &[last]);
        let last = conv(graph, large, 8, 24);
        let last = add(graph, op(6, 8, Interpolation::Nearest, [2.0; 2]), &[last]);
        let shuffled = add(graph, ops::PixelShuffle(2), &[last]);
        let odd = conv(graph, first, 16, 12);
        let odd = add(graph, ops::Slice { start: 4, end: 12 }, &[odd]);
        let odd = conv(graph, odd, 8, 6);
        let odd = add(graph, op(12, 16, Interpolation::Nearest, [0.5; 2]), &[odd]);
        let sum = add(graph, ops::Add, &[shuffled, odd]);
        conv(graph, sum, 6, 3)
    })
}

fn constant() -> Graph {
    graph(Shape::new(2, 3, 4, 5), |graph, x| {
        let value = param(graph, &[1, 3, 4, 5]);
        let constant = add(graph, ops::Constant { value, batch: 2 }, &[]);
        let sum = add(graph, ops::Add, &[constant, x]);
        let third = add(graph, ops::Slice { start: 1, end: 2 }, &[sum]);
        add(graph, ops::Concat, &[third, x])
    })
}

pub(super) fn all() -> Vec<Graph> {
    let mut all = vec![styled(), constant(), blocks()];
    let more = [
        activations(),
        convolutions(),
        layers(),
        resamplings(),
        windows(),
        normalisations_and_attention(),
    ];
    all.extend(more.into_iter().flatten());
    all
}

/// A step that takes and yields pictures.
pub(super) fn picture(target: Target) -> Plan {
    let graph = graph(Shape::new(1, 3, 5, 7), |graph, x| add(graph, ops::Scale(1.0), &[x]));
    plan(graph, target)
}

#[test]
fn pointwise_and_activations() {
    (0..activations().len()).for_each(|i| check(|| activations().swap_remove(i)));
}

#[test]
fn direct_and_depthwise_convolutions() {
    (0..convolutions().len()).for_each(|i| check(|| convolutions().swap_remove(i)));
}

#[test]
fn modulation_and_epilogue() {
    check(styled);
}

#[test]
fn resampling_and_shuffles() {
    (0..resamplings().len()).for_each(|i| check(|| resamplings().swap_remove(i)));
}

#[test]
fn windows_borders_and_factors() {
    (0..windows().len()).for_each(|i| check(|| windows().swap_remove(i)));
}

#[test]
fn values_lie_by_blocks() {
    let Some(device) = device() else { return };
    let target = Target { blocks: true, ..device.target(Dtype::F16) };
    if target.dtype == Dtype::F16 {
        let plan = plan(blocks(), target);
        let blocked = plan.steps.iter().filter(|step| step.output.blocked).count();
        assert!(blocked > 4 && blocked < plan.steps.len(), "{blocked} of\n{plan}");
    }
    check(blocks);
}

#[test]
fn constants_slices_and_concatenations() {
    check(constant);
}

#[test]
fn the_second_run_allocates_nothing_and_memory_is_as_predicted() {
    let Some(device) = device() else { return };
    let plan = Arc::new(plan(styled(), device.target(Dtype::F32)));
    let predicted = predict(&plan).unwrap();
    let mut executor = Executor::new_blocking(device, Arc::clone(&plan)).unwrap();
    assert_eq!(executor.memory(), predicted);
    assert!(predicted.weights > 0 && predicted.arena > 0);
    let (x, style) = (random(1, plan.inputs[0].shape.len()), random(2, 18));
    let first = executor.run_blocking(&[&x, &style]).unwrap();
    let traced = executor.run_traced_blocking(&[&x, &style]).unwrap();
    assert_eq!(traced.last(), first.first());
    assert_eq!(executor.run_blocking(&[&x, &style]).unwrap(), first);
    // Other tests share the device's counters; this executor's own memory is what it was.
    assert_eq!(executor.memory(), predicted);
    assert!(executor.run_blocking(&[&x]).is_err());
    assert!(executor.run_blocking(&[&x, &style[1..]]).is_err());
}

/// However steps are submitted, the result is the same.
#[test]
fn a_network_that_was_quick_is_submitted_as_a_whole() {
    let Some(device) = device() else { return };
    let plan = Arc::new(plan(styled(), device.target(Dtype::F32)));
    let (x, style) = (random(1, plan.inputs[0].shape.len()), random(2, 18));
    let steps = plan.steps.len();
    let mut executor = Executor::new_blocking(device, plan).unwrap();
    executor.submissions = vec![0..1, 1..steps];
    let apart = executor.groups();
    assert_eq!(apart, [0..1, 1..steps]);
    let first = executor.run_blocking(&[&x, &style]).unwrap();
    assert!(executor.took.is_some());
    executor.took = Some(Duration::from_secs(1));
    assert_eq!(executor.groups(), apart);
    executor.took = Some(Duration::ZERO);
    assert_eq!(executor.groups(), std::slice::from_ref(&(0..steps)));
    assert_eq!(executor.run_blocking(&[&x, &style]).unwrap(), first);
}

#[test]
fn the_counters_stand_still_after_the_first_run() {
    let options = DeviceOptions { allow_software: true, ..Default::default() };
    let Ok(device) = Device::open_blocking(&options) else { return };
    let plan = Arc::new(plan(constant(), device.target(Dtype::F32)));
    let x = random(1, plan.inputs[0].shape.len());
    let mut executor = Executor::new_blocking(&device, plan).unwrap();
    executor.run_blocking(&[&x]).unwrap();
    let counters = device.counters();
    executor.run_blocking(&[&x]).unwrap();
    assert_eq!(device.counters(), counters);
    assert_eq!(counters.bytes_alive, executor.memory().total() as u64);
    if device.info().timestamps {
        let times = executor.profile_blocking().unwrap();
        assert_eq!(times.len(), executor.plan().steps.len());
    }
    drop(executor);
    assert_eq!(device.counters().bytes_alive, 0);
}

#[test]
fn the_first_step_that_is_not_finite_is_named() {
    let Some(device) = device() else { return };
    let graph = graph(Shape::new(1, 3, 4, 4), |graph, x| {
        let fine = graph.scoped("fine", |g| add(g, ops::PixelUnshuffle(2), &[x]));
        let huge = graph.scoped("huge", |g| add(g, ops::Scale(f32::MAX), &[fine]));
        let huger = graph.scoped("huger", |g| add(g, ops::Add, &[huge, huge]));
        graph.scoped("after", |g| add(g, ops::PixelShuffle(2), &[huger]))
    });
    let plan = Arc::new(plan(graph, device.target(Dtype::F32)));
    let mut executor = Executor::new_blocking(device, plan).unwrap();
    let traced = executor.run_traced_blocking(&[&[1.0; 48]]).unwrap();
    let first = traced.iter().position(|step| step.contains(&f32::INFINITY)).unwrap();
    assert!(first > 0);
    let expected = executor.plan().steps[first].name.clone();
    let Err(Error::NonFinite { node }) = executor.run_blocking(&[&[1.0; 48]]) else { panic!() };
    assert_eq!(node, expected);
    let white = [255; 48];
    let result = executor.run_image_blocking(&white, PixelFormat::UNIT, PixelFormat::UNIT);
    let Err(Error::NonFinite { node }) = result else { panic!() };
    assert_eq!(node, expected);
    assert!(executor.run_blocking(&[&[0.0; 48]]).is_ok());
}

#[test]
fn pictures_go_in_and_come_out() {
    let Some(device) = device() else { return };
    let mut executor =
        Executor::new_blocking(device, Arc::new(picture(device.target(Dtype::F32)))).unwrap();
    let bytes: Vec<u8> = (0..105).map(|i| (i * 37 % 256) as u8).collect();
    let bgr = PixelFormat { bgr: true, ..PixelFormat::SIGNED };
    for format in [PixelFormat::UNIT, bgr] {
        assert_eq!(executor.run_image_blocking(&bytes, format, format).unwrap(), bytes);
    }
    let rgba = PixelFormat { channels: 4, ..bgr };
    let swapped = executor.run_image_blocking(&bytes, bgr, PixelFormat::SIGNED).unwrap();
    let opaque = executor.run_image_blocking(&bytes, PixelFormat::SIGNED, rgba).unwrap();
    for (pixel, (swapped, opaque)) in bytes.chunks(3).zip(swapped.chunks(3).zip(opaque.chunks(4))) {
        assert_eq!(swapped, [pixel[2], pixel[1], pixel[0]]);
        assert_eq!(opaque, [pixel[2], pixel[1], pixel[0], 255]);
    }
    let again = executor.run_image_blocking(&opaque, rgba, PixelFormat::SIGNED).unwrap();
    assert_eq!(again, bytes);
    assert!(executor.run_image_blocking(&bytes[1..], bgr, bgr).is_err());
}

#[test]
#[ignore = "a measurement"]
fn time_memory_bound_layers() {
    let Some(device) = device() else { return };
    let upfirdn = graph(Shape::new(1, 3, 256, 256), |graph, x| {
        let kernel = param(graph, &[4, 4]);
        let padding = Padding::pair(2, 1);
        add(graph, ops::Upfirdn2d { kernel, up: 2, down: 1, padding }, &[x])
    });
    let layers = [
        ("3 to 32, 3x3, 256", convolution(Shape::new(1, 3, 256, 256), [32, 3, 3, 3], |_| ())),
        ("32 to 3, 1x1, 256", convolution(Shape::new(1, 32, 256, 256), [3, 32, 1, 1], |_| ())),
        ("64 to 3, 3x3, 256", convolution(Shape::new(1, 64, 256, 256), [3, 64, 3, 3], |_| ())),
        ("upfirdn2d 3, 256 to 512", upfirdn),
    ];
    for (name, graph) in layers {
        let plan = Arc::new(plan(graph, device.target(Dtype::F32)));
        let x = random(1, plan.inputs[0].shape.len());
        let mut executor = Executor::new_blocking(device, plan).unwrap();
        executor.run_blocking(&[&x]).unwrap();
        let best = (0..5)
            .map(|_| executor.profile_blocking().unwrap().iter().map(|t| t.time).sum())
            .min()
            .unwrap_or(std::time::Duration::ZERO);
        println!("{name}: {best:?}");
    }
}
