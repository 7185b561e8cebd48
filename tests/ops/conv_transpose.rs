//! `conv_transpose`: StyleGAN2's upsampling convolution and its relatives.

use pentimento::graph::{Conv2d, Padding, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(3))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..10, 1usize..14),
        (i, o) in (1usize..20, 1usize..36),
        (kernel, stride) in (2usize..5, 1usize..4),
        crop in 0i32..2,
        demodulate: bool,
        parts in parts(),
    ) {
        prop_assume!(((h - 1) * stride + kernel) as i32 > 2 * crop);
        prop_assume!(((w - 1) * stride + kernel) as i32 > 2 * crop);
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, i, h, w));
        let code = case.input(Shape::vector(n, 5));
        let affine = case.weight(&[i, 5]);
        let style = case.add(ops::Linear(affine), &[code]);
        let weight = case.weight(&[o, i, kernel, kernel]);
        let padding = Padding::all(crop);
        let conv = Conv2d { weight, stride, padding, dilation: 1, groups: 1 };
        let op = ops::ModulatedConvTranspose2d { conv, demodulate };
        let y = case.add(op, &[x, style]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_transpose", "conv_gemm", "conv_gemm_cooperative"])?;
    }
}
