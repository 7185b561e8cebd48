//! `resize`: to sizes smaller and larger.

use pentimento::graph::{Interpolation, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn agrees_with_its_twin(
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
        let y = case.add(ops::Resize { height, width, interpolation, step }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["resize"])?;
    }
}
