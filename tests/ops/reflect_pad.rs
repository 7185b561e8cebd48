//! `reflect_pad`: borders of all widths.

use pentimento::graph::{Padding, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 1usize..9, 1usize..12),
        pads in prop::array::uniform4(0i32..5),
        parts in parts(),
    ) {
        let [top, bottom] = [pads[0], pads[1]].map(|p| p.min(h as i32 - 1));
        let [left, right] = [pads[2], pads[3]].map(|p| p.min(w as i32 - 1));
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(ops::ReflectPad(Padding { top, bottom, left, right }), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["reflect_pad"])?;
    }
}
