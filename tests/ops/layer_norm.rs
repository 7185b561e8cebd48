//! `layer_norm`: any number of channels and pixels.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(10))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 2usize..90, 1usize..9, 1usize..9),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let weight = case.vector(c);
        let y = case.add(ops::LayerNorm { epsilon: 1e-5, weight }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["layer_norm"])?;
    }
}
