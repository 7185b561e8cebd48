//! Networks that run at once share a team of threads, and each comes to what it comes to alone. CI runs
//! this under ThreadSanitizer, too.
#![cfg(not(loom))]

use std::error::Error;
use std::sync::Arc;
use std::thread;

use pentimento_core::Shape;
use pentimento_core::cpu::Executor;
use pentimento_core::graph::ops::{
    Add, Attention, Concat, GroupNorm, LayerNorm, Linear, MaxPool2d, MultiPathConv, PixelShuffle,
    Resize, WindowAttention,
};
use pentimento_core::graph::{
    Activation, Conv2d, Graph, Interpolation, NodeId, Param, ParamId, Path,
};
use pentimento_core::plan::{Plan, Target};

const NETWORKS: usize = 3;
const RUNS: usize = 3;
const INPUT: Shape = Shape::new(2, 16, 24, 20);

/// Numbers between -1 and 1 without a pattern.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// A parameter whose sums over all but the first dimension stay small.
fn param(graph: &mut Graph, dims: &[usize]) -> ParamId {
    let seed = graph.params().len() as u32 + 1;
    let scale = 1.0 / (dims[1..].iter().product::<usize>() as f32).sqrt();
    let values: Vec<f32> =
        numbers(dims.iter().product(), seed).into_iter().map(|value| value * scale).collect();
    graph.add_param(Param::from_values(format!("p{seed}"), dims.to_vec(), &values))
}

/// Operations of every kind that shares its work among threads.
fn network() -> Result<Graph, Box<dyn Error>> {
    let mut graph = Graph::new();
    let g = &mut graph;
    let x = g.add_input("x", INPUT);
    let convolution = |g: &mut Graph, from: NodeId, dims: [usize; 4], stride, groups| {
        let weight = param(g, &dims);
        let y = g.add(Conv2d { stride, groups, ..Conv2d::same(weight, dims[2]) }, &[from])?;
        g.add(Activation::LeakyRelu(0.2), &[y])
    };
    let wide = convolution(g, x, [32, 16, 3, 3], 1, 1)?;
    let deep = convolution(g, wide, [32, 1, 3, 3], 1, 32)?;
    let mixed = convolution(g, deep, [32, 32, 1, 1], 1, 1)?;
    let paths = [1, 2].map(|dilation| {
        let weight = param(g, &[16, 16, 3, 3]);
        let first_channel = 16 * (dilation - 1);
        Path { weight, first_channel, channels: 16, dilation, groups: 1 }
    });
    let several = g.add(MultiPathConv(paths.to_vec()), &[mixed])?;
    let sum = g.add(Add, &[several, wide])?;

    let weight = param(g, &[32]);
    let even = g.add(LayerNorm { epsilon: 1e-5, weight }, &[sum])?;
    let bias = param(g, &[4, 7, 7]);
    let windows = WindowAttention { heads: 4, window: [4, 4], offset: [2, 2], margin: 0, bias };
    let seen = g.add(windows, &[even, even, even])?;

    let small = convolution(g, seen, [32, 32, 3, 3], 2, 1)?;
    let weight = param(g, &[32]);
    let normal = g.add(GroupNorm { groups: 8, epsilon: 1e-5, weight }, &[small])?;
    let attended = g.add(Attention { heads: 2 }, &[normal, normal, normal])?;
    let pooled = g.add(MaxPool2d { kernel: 3, stride: 1, padding: 1 }, &[attended])?;
    let both = g.add(Concat, &[pooled, small])?;
    let shuffled = g.add(PixelShuffle(2), &[both])?;
    let interpolation = Interpolation::Bilinear;
    let resize = Resize { height: 48, width: 40, interpolation, step: [0.5, 0.5] };
    let large = g.add(resize, &[shuffled])?;
    let last = convolution(g, large, [3, 16, 3, 3], 1, 1)?;
    g.set_output(last);

    let weight = param(g, &[10, 32 * 12 * 10]);
    let vector = g.add(Linear(weight), &[pooled])?;
    g.set_output(vector);
    Ok(graph)
}

#[test]
fn networks_at_once_are_as_alone() -> Result<(), Box<dyn Error>> {
    let plan = Arc::new(Plan::new(Arc::new(network()?), Target::cpu())?);
    let input = numbers(INPUT.len(), 99);
    let alone = Executor::new(plan.clone())?.run(&[&input])?;
    let twin = Executor::reference(plan.clone())?.run(&[&input])?;
    for (fast, plain) in alone.concat().iter().zip(twin.concat()) {
        assert!((fast - plain).abs() <= 1e-3 * plain.abs().max(1.0), "{fast} is not {plain}");
    }
    thread::scope(|scope| {
        for _ in 0..NETWORKS {
            scope.spawn(|| {
                let mut executor = Executor::new(plan.clone()).expect("enough memory");
                for _ in 0..RUNS {
                    let result = executor.run(&[&input]).expect("finite numbers");
                    assert!(result == alone, "another result than alone");
                }
            });
        }
    });
    Ok(())
}
