//! `conv_small`: small pictures with enough channels for whole vectors of them.

use pentimento::graph::Conv2d;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..15, 1usize..15),
        (i, o) in (1usize..20, 16usize..70),
        (kernel, stride, dilation) in (2usize..5, 1usize..3, 1usize..3),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, i, h, w));
        let weight = case.weight(&[o, i, kernel, kernel]);
        let reach = dilation * (kernel - 1);
        let conv = Conv2d { stride, dilation, ..Conv2d::same(weight, 2 * reach + 1) };
        let y = case.add(conv, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_small"])?;
    }
}
