//! `arg_max`: the same channel everywhere, also where several are equal.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config};

proptest! {
    #![proptest_config(config(10))]
    #[test]
    fn the_first_of_equal_channels_wins(
        (n, c, h, w) in (1usize..3, 1usize..80, 1usize..9, 1usize..9),
        values in prop::collection::vec(0u8..5, 2 * 80 * 8 * 8),
    ) {
        let shape = Shape::new(n, c, h, w);
        let mut case = Case::new(0);
        let values = values.into_iter().map(f32::from).take(shape.len()).collect();
        let x = case.input_of(shape, values);
        let y = case.add(ops::ArgMax, &[x]);
        case.check_f32(y, &["arg_max"])?;
    }
}
