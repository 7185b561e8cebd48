//! `linear`: matrices of all sizes.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, Parts, config};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..4, 1usize..40, 1usize..5, 1usize..5),
        out in 1usize..300,
        (bias, activation) in (any::<bool>(), 0u8..9),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let weight = case.weight(&[out, c * h * w]);
        let y = case.add(ops::Linear(weight), &[x]);
        let plain = Parts { gain: true, noise: false, bias, activation, sft: false, residual: false };
        let y = case.epilogue(y, &plain);
        case.check(y, &["linear"])?;
    }
}
