//! `resize`, `upfirdn2d`, `pixel_shuffle`, `pixel_unshuffle`, `reflect_pad`.

use pentimento::graph::{Interpolation, Op, Padding};
use pentimento::plan::Kernel;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn resize_agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 1usize..14, 1usize..20),
        (height, width) in (1usize..30, 1usize..30),
        interpolation in prop::sample::select(vec![
            Interpolation::Nearest, Interpolation::Bilinear, Interpolation::BilinearAlignCorners,
        ]),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let step = [h as f32 / height as f32, w as f32 / width as f32];
        let y = case.add(Op::Resize { height, width, interpolation, step }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::Resize)?;
    }

    #[test]
    fn upfirdn2d_agrees_with_its_twin(
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
        let y = case.add(Op::Upfirdn2d { kernel, up, down, padding }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::Upfirdn2d)?;
    }

    #[test]
    fn pixel_shuffle_agrees_with_its_twin(
        seed: u64,
        (n, c, h, w, r) in (1usize..3, 1usize..5, 1usize..9, 1usize..12, 1usize..5),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c * r * r, h, w));
        let y = case.add(Op::PixelShuffle(r), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::PixelShuffle)?;
    }

    #[test]
    fn reflect_pad_agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 1usize..9, 1usize..12),
        pads in prop::array::uniform4(0i32..5),
        parts in parts(),
    ) {
        let [top, bottom] = [pads[0], pads[1]].map(|p| p.min(h as i32 - 1));
        let [left, right] = [pads[2], pads[3]].map(|p| p.min(w as i32 - 1));
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(Op::ReflectPad(Padding { top, bottom, left, right }), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::ReflectPad)?;
    }

    #[test]
    fn pixel_unshuffle_agrees_with_its_twin(
        seed: u64,
        (n, c, h, w, r) in (1usize..3, 1usize..5, 1usize..9, 1usize..12, 1usize..5),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, c, h * r, w * r));
        let y = case.add(Op::PixelUnshuffle(r), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, Kernel::PixelUnshuffle)?;
    }
}
