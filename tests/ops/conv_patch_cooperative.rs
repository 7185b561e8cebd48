//! `conv_patch_cooperative`: convolutions whose input is staged once, where a device has cooperative
//! matrices.

use pentimento::graph::Conv2d;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(6))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..20, 16usize..36),
        (i, o) in (8usize..50, 16usize..70),
        (kernel, dilation) in prop::sample::select(vec![(3, 1), (3, 2), (3, 3), (5, 1), (2, 1)]),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let reach = dilation * (kernel - 1);
        let x = case.input(Shape::new(n, i, h + reach, w + reach));
        let weight = case.weight(&[o, i, kernel, kernel]);
        let y = case.add(Conv2d { dilation, ..Conv2d::same(weight, kernel) }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_patch_cooperative"])?;
    }
}
