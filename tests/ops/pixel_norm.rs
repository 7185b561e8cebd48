//! `pixel_norm`: vectors of all lengths.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(seed: u64, n in 1usize..4, c in 1usize..700) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::vector(n, c));
        let y = case.add(ops::PixelNorm, &[x]);
        case.check(y, &["pixel_norm"])?;
    }
}
