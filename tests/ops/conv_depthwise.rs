//! `conv_depthwise`: one input and one output channel per group.

use pentimento::graph::{Conv2d, Padding};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(8))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 2usize..20, 1usize..14, 1usize..20),
        (radius, stride, dilation) in (0usize..3, 1usize..3, 1usize..3),
        parts in parts(),
    ) {
        let kernel = 2 * radius + 1;
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let weight = case.weight(&[c, 1, kernel, kernel]);
        let padding = Padding::all((dilation * radius) as i32);
        let conv = Conv2d { weight, stride, padding, dilation, groups: c };
        let y = case.add(conv, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_depthwise"])?;
    }
}
