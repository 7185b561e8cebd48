//! `pixel_shuffle`: factors with and without a kernel of their own.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w, r) in (1usize..3, 1usize..5, 1usize..9, 1usize..12, 1usize..5),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c * r * r, h, w));
        let y = case.add(ops::PixelShuffle(r), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["pixel_shuffle"])?;
    }
}
