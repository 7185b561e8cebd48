//! `conv_winograd`: F(4×4, 3×3), at sizes that are no multiple of its tiles.

use pentimento::graph::{Conv2d, Interpolation, Op, Padding};
use pentimento::plan::Kernel;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};
use crate::support;

/// The smallest result's side at which every executor of this machine chooses it.
fn smallest() -> usize {
    let real = support::device().is_some_and(|device| !device.info().is_software());
    if real { 256 } else { 17 }
}

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 2usize..13, 2usize..21),
        (i, o) in (32usize..70, 32usize..70),
        pads in prop::array::uniform4(0i32..3),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let (h, w) = (smallest() + h, smallest() + w);
        let x = case.input(Shape::new(n, i, h, w));
        let weight = case.weight(&[o, i, 3, 3]);
        let [top, bottom, left, right] = pads;
        let padding = Padding { top, bottom, left, right };
        let y = case.add(Op::Conv2d(Conv2d { padding, ..Conv2d::same(weight, 3) }), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::ConvWinograd)?;
    }
}

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn modulates_and_doubles_in_its_loads(
        seed: u64,
        (n, h, w) in (1usize..3, 0usize..5, 0usize..10),
        (i, o) in (32usize..50, 32usize..50),
        (bilinear, demodulate) in any::<(bool, bool)>(),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let (h, w) = (smallest().div_ceil(2) + h, smallest().div_ceil(2) + w);
        let x = case.input(Shape::new(n, i, h, w));
        let interpolation =
            if bilinear { Interpolation::Bilinear } else { Interpolation::Nearest };
        let double =
            Op::Resize { height: 2 * h, width: 2 * w, interpolation, step: [0.5; 2] };
        let x = case.add(double, &[x]);
        let code = case.input(Shape::vector(n, 5));
        let affine = case.weight(&[i, 5]);
        let style = case.add(Op::Linear(affine), &[code]);
        let weight = case.weight(&[o, i, 3, 3]);
        let conv = Conv2d::same(weight, 3);
        let op = Op::ModulatedConv2d { conv, demodulate, transposed: false };
        let y = case.add(op, &[x, style]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::ConvWinograd)?;
    }
}
