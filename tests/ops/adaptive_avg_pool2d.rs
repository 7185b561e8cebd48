//! `adaptive_avg_pool2d`: to sizes smaller and larger.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 1usize..14, 1usize..20),
        (height, width) in (1usize..6, 1usize..6),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(ops::AdaptiveAvgPool2d { height, width }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["adaptive_avg_pool2d"])?;
    }
}
