//! `demodulate`: factors of weights and styles of all sizes.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, i, o, kernel) in (1usize..4, 1usize..40, 1usize..90, 1usize..5),
    ) {
        let mut case = Case::new(seed);
        let style = case.input(Shape::vector(n, i));
        let weight = case.weight(&[o, i, kernel, kernel]);
        let y = case.add(ops::Demodulate(weight), &[style]);
        case.check(y, &["demodulate"])?;
    }
}
