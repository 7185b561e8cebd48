//! `max_pool`, `adaptive_avg_pool`.

use pentimento::graph::Op;
use pentimento::plan::Kernel;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn max_pool_agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 4usize..14, 4usize..20),
        (kernel, stride) in (1usize..5, 1usize..4),
        padded: bool,
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let padding = if padded { kernel / 2 } else { 0 };
        let y = case.add(Op::MaxPool2d { kernel, stride, padding }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::MaxPool)?;
    }

    #[test]
    fn adaptive_avg_pool_agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 1usize..14, 1usize..20),
        (height, width) in (1usize..6, 1usize..6),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(Op::AdaptiveAvgPool2d { height, width }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::AdaptiveAvgPool)?;
    }

    #[test]
    fn the_mean_of_a_picture_scales_its_channels(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..9, 1usize..14, 1usize..20),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let mean = case.add(Op::AdaptiveAvgPool2d { height: 1, width: 1 }, &[x]);
        let weight = case.weight(&[c, c]);
        let factors = case.add(Op::Linear(weight), &[mean]);
        let y = case.add(Op::ScaleChannels, &[x, factors]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::Pointwise)?;
    }
}
