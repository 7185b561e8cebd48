//! `conv_gemm_cooperative`: products by cooperative matrices, where a device has them.

use pentimento::graph::Conv2d;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(4))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 4usize..12, 4usize..24),
        (i, o) in (16usize..70, 16usize..70),
        (kernel, stride) in prop::sample::select(vec![(1, 1), (3, 1), (3, 2)]),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, i, h, w));
        let weight = case.weight(&[o, i, kernel, kernel]);
        let y = case.add(Conv2d { stride, ..Conv2d::same(weight, kernel) }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_gemm_cooperative"])?;
    }
}
