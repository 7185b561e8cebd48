//! `pointwise` and `constant`: epilogues on their own, concatenations, slices.

use pentimento::graph::{Op, Param};
use pentimento::plan::Kernel;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..9, 1usize..14, 1usize..20),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(Op::Scale(0.8), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::Pointwise)?;
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
        let scaled = case.add(Op::Scale(0.5), &[third]);
        let part = case.add(Op::Slice { start: 1, end: b }, &[second]);
        let all = case.add(Op::Concat, &[first, part, scaled, part]);
        let y = case.add(Op::Slice { start: a, end: a + b }, &[all]);
        let y = case.add(Op::Scale(2.0), &[y]);
        case.check(y, Kernel::Pointwise)?;
    }

    #[test]
    fn constants_repeat_over_the_batch(
        seed: u64,
        (n, c, h, w) in (1usize..4, 1usize..9, 1usize..14, 1usize..20),
    ) {
        let mut case = Case::new(seed);
        let values: Vec<f32> = (0..c * h * w).map(|i| i as f32 / 7.0 - 3.0).collect();
        let value = case.graph.add_param(Param::from_values("value", vec![1, c, h, w], &values));
        let y = case.add(Op::Constant { value, batch: n }, &[]);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(Op::Add, &[y, x]);
        case.check(y, Kernel::Constant)?;
    }
}
