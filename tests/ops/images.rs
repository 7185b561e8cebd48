//! `image_to_tensor` and `tensor_to_image`: bytes in, bytes out.

use std::sync::Arc;

use pentimento::graph::{Graph, ops};
use pentimento::pixels::PixelFormat;
use pentimento::tensor::Shape;
use pentimento::{cpu, gpu};
use proptest::prelude::*;

use crate::harness::config;
use crate::support::{self, Executor, formula::uniform};

/// `factor · x` on pictures of `h × w`, by each executor that this machine has.
fn scaled(
    picture: &[u8],
    [h, w]: [usize; 2],
    factor: f32,
    [input, output]: [PixelFormat; 2],
) -> Vec<(Executor, Vec<u8>)> {
    let mut graph = Graph::new();
    let x = graph.add_input("picture", Shape::new(1, 3, h, w));
    let y = graph.add(ops::Scale(factor), &[x]).expect("a scale");
    graph.set_output(y);
    let graph = Arc::new(graph);
    let mut results = Vec::new();
    for executor in [Executor::Cpu, Executor::Gpu, Executor::GpuF16] {
        let Some(plan) = support::plan(&graph, executor).map(Arc::new) else { continue };
        let result = if executor == Executor::Cpu {
            let mut executor = cpu::Executor::new(plan).expect("an executor");
            executor.run_image(picture, input, output).expect("a picture")
        } else {
            let device = support::device().expect("planned for it");
            let mut executor = gpu::Executor::new_blocking(device, plan).expect("an executor");
            executor.run_image_blocking(picture, input, output).expect("a picture")
        };
        results.push((executor, result));
    }
    results
}

fn picture(seed: u64, len: usize) -> Vec<u8> {
    (0..len).map(|i| (uniform(seed, i as u64) * 256.0) as u8).collect()
}

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn pictures_pass_unchanged(
        seed: u64,
        (h, w) in (1usize..40, 1usize..40),
        (signed, alpha, bgr) in any::<(bool, bool, bool)>(),
    ) {
        let base = if signed { PixelFormat::SIGNED } else { PixelFormat::UNIT };
        let channels = if alpha { 4 } else { 3 };
        let format = PixelFormat { channels, bgr, ..base };
        let mut bytes = picture(seed, h * w * channels);
        for pixel in bytes.chunks_exact_mut(channels).filter(|_| alpha) {
            pixel[3] = 255;
        }
        for (executor, result) in scaled(&bytes, [h, w], 1.0, [format, format]) {
            prop_assert!(result == bytes, "{executor:?}");
        }
    }

    #[test]
    fn values_are_clamped_and_rounded_to_even(seed: u64, h in 1usize..20, w in 1usize..20) {
        let bytes = picture(seed, h * w * 3);
        // 1.5 · byte lies halfway for every odd byte, and beyond 255 for bytes from 171 on.
        let format = PixelFormat { scale: [1.0; 3], ..PixelFormat::UNIT };
        let expected: Vec<u8> =
            bytes.iter().map(|&b| (f32::from(b) * 1.5).round_ties_even().min(255.0) as u8).collect();
        for (executor, result) in scaled(&bytes, [h, w], 1.5, [format, format]) {
            prop_assert!(result == expected, "{executor:?}");
        }
    }
}

#[test]
fn means_and_orders_apply_per_channel() {
    // RetinaFace's input: BGR minus a mean, no division.
    let mean = [104.0, 117.0, 123.0];
    let offset = mean.map(|m: f32| -m);
    let input = PixelFormat { channels: 3, bgr: true, scale: [1.0; 3], offset };
    let output = PixelFormat { offset: [0.0; 3], ..input };
    let bytes = [200u8, 150, 110, 123, 117, 104];
    for (executor, result) in scaled(&bytes, [1, 2], 1.0, [input, output]) {
        assert_eq!(result, [77, 33, 6, 0, 0, 0], "{executor:?}");
    }
}
