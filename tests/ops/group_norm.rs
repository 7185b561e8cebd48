//! `group_norm`: groups of a few values and of several chunks, any epilogue.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, Parts, config, parts};

proptest! {
    #![proptest_config(config(10))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..24, 2usize..24),
        (groups, channels) in (1usize..9, 1usize..5),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, groups * channels, h, w));
        let weight = case.vector(groups * channels);
        let y = case.add(ops::GroupNorm { groups, epsilon: 1e-6, weight }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["group_norm"])?;
    }
}

/// 70 chunks of the smallest size would be more than a workgroup merges; the mean lies far from 0.
#[test]
fn large_groups_keep_their_precision() {
    let shape = Shape::new(1, 4, 300, 480);
    let mut case = Case::new(7);
    let values = crate::support::noise(7, shape.len());
    let x = case.input_of(shape, values.iter().map(|v| 30.0 + v).collect());
    let weight = case.vector(shape.c);
    let y = case.add(ops::GroupNorm { groups: 2, epsilon: 1e-6, weight }, &[x]);
    let plain =
        Parts { gain: false, noise: false, bias: true, activation: 3, sft: false, residual: false };
    let y = case.epilogue(y, &plain);
    case.check_f32(y, &["group_norm"]).expect("precise");
}
