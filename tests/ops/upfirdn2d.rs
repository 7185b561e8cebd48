//! `upfirdn2d`: filters that pad and crop.

use pentimento::graph::{Padding, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(10))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 2usize..14, 2usize..20),
        (kh, kw, up, down) in (1usize..6, 1usize..6, 1usize..4, 1usize..4),
        pads in prop::array::uniform4(-1i32..4),
        parts in parts(),
    ) {
        let [top, bottom, left, right] = pads;
        prop_assume!((h * up) as i32 + top + bottom >= kh as i32);
        prop_assume!((w * up) as i32 + left + right >= kw as i32);
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let kernel = case.weight(&[kh, kw]);
        let padding = Padding { top, bottom, left, right };
        let y = case.add(ops::Upfirdn2d { kernel, up, down, padding }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["upfirdn2d"])?;
    }
}
