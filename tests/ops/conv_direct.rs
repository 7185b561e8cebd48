//! `conv_direct`: any kernel, stride, padding, dilation, groups and batch.

use pentimento::graph::{Conv2d, Padding, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(10))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..14, 1usize..20),
        (groups, i, o) in (1usize..3, 1usize..6, 1usize..7),
        (kernel, stride, dilation) in (1usize..5, 1usize..4, 1usize..3),
        pads in prop::array::uniform4(0i32..4),
        parts in parts(),
    ) {
        let reach = (dilation * (kernel - 1) + 1) as i32;
        let [top, bottom, left, right] = pads;
        prop_assume!(h as i32 + top + bottom >= reach && w as i32 + left + right >= reach);
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, groups * i, h, w));
        let weight = case.weight(&[groups * o, i, kernel, kernel]);
        let padding = Padding { top, bottom, left, right };
        let conv = Conv2d { weight, stride, padding, dilation, groups };
        let y = case.add(conv, &[x]);
        // One channel per group on both sides is the depthwise kernel's.
        prop_assume!(groups == 1 || i > 1 || o > 1);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_direct"])?;
    }
}

proptest! {
    #![proptest_config(config(5))]
    #[test]
    fn modulates(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..9, 1usize..9),
        (i, o) in (1usize..6, 1usize..6),
        demodulate: bool,
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, i, h, w));
        let code = case.input(Shape::vector(n, 5));
        let affine = case.weight(&[i, 5]);
        let style = case.add(ops::Linear(affine), &[code]);
        let weight = case.weight(&[o, i, 3, 3]);
        let conv = Conv2d::same(weight, 3);
        let op = ops::ModulatedConv2d { conv, demodulate };
        let y = case.add(op, &[x, style]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_direct"])?;
    }
}
