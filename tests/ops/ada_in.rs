//! `ada_in`: tensors of different sizes.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(8))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..9, 2usize..14, 2usize..14),
        (style_h, style_w) in (2usize..14, 2usize..14),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let style = case.input(Shape::new(n, c, style_h, style_w));
        let y = case.add(ops::AdaIn { epsilon: 1e-5 }, &[x, style]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["ada_in"])?;
    }
}
