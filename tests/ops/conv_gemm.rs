//! `conv_gemm`: the implicit matrix product, at sizes that are no multiple of its tiles.

use pentimento::graph::{Conv2d, Interpolation, Padding, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(5))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..12, 1usize..24),
        (i, o) in (1usize..40, 1usize..70),
        (kernel, stride, dilation) in (1usize..5, 1usize..3, 1usize..3),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, i, h, w));
        let weight = case.weight(&[o, i, kernel, kernel]);
        let reach = (dilation * (kernel - 1)) as i32;
        let padding = Padding::pair(reach / 2, reach - reach / 2);
        let conv = Conv2d { weight, stride, padding, dilation, groups: 1 };
        let y = case.add(conv, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_gemm"])?;
    }
}

proptest! {
    #![proptest_config(config(3))]
    #[test]
    fn modulates_and_doubles_in_its_loads(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..9, 1usize..12),
        (i, o) in (16usize..40, 16usize..70),
        (kernel, demodulate) in prop::sample::select(vec![(1, false), (3, true), (3, false)]),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, i, h, w));
        let nearest = ops::Resize {
            height: 2 * h,
            width: 2 * w,
            interpolation: Interpolation::Nearest,
            step: [0.5; 2],
        };
        let x = case.add(nearest, &[x]);
        let code = case.input(Shape::vector(n, 5));
        let affine = case.weight(&[i, 5]);
        let style = case.add(ops::Linear(affine), &[code]);
        let weight = case.weight(&[o, i, kernel, kernel]);
        let conv = Conv2d::same(weight, kernel);
        let op = ops::ModulatedConv2d { conv, demodulate };
        let y = case.add(op, &[x, style]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_gemm"])?;
    }
}
