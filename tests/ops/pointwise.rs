//! `pointwise`: epilogues on their own, concatenations, slices.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..9, 1usize..14, 1usize..20),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(ops::Scale(0.8), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["pointwise"])?;
    }

    #[test]
    fn parts_of_a_concatenation_find_their_place(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..14, 1usize..20),
        (a, b, c) in (1usize..5, 2usize..6, 1usize..5),
    ) {
        let mut case = Case::new(seed);
        let first = case.input(Shape::new(n, a, h, w));
        let second = case.input(Shape::new(n, b, h, w));
        let third = case.input(Shape::new(n, c, h, w));
        let scaled = case.add(ops::Scale(0.5), &[third]);
        let part = case.add(ops::Slice { start: 1, end: b }, &[second]);
        let all = case.add(ops::Concat, &[first, part, scaled, part]);
        let y = case.add(ops::Slice { start: a, end: a + b }, &[all]);
        let y = case.add(ops::Scale(2.0), &[y]);
        case.check(y, &["pointwise"])?;
    }

    #[test]
    fn the_mean_of_a_picture_scales_its_channels(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..9, 1usize..14, 1usize..20),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let mean = case.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[x]);
        let weight = case.weight(&[c, c]);
        let factors = case.add(ops::Linear(weight), &[mean]);
        let y = case.add(ops::ScaleChannels, &[x, factors]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["pointwise"])?;
    }
}
