//! `max_pool2d`: windows of all sizes and steps.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 4usize..14, 4usize..20),
        (kernel, stride) in (1usize..5, 1usize..4),
        padded: bool,
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let padding = if padded { kernel / 2 } else { 0 };
        let y = case.add(ops::MaxPool2d { kernel, stride, padding }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["max_pool2d"])?;
    }
}
