//! `constant`: parameters that repeat over the batch.

use pentimento::graph::{Param, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config};

proptest! {
    #![proptest_config(config(16))]
    #[test]
    fn constants_repeat_over_the_batch(
        seed: u64,
        (n, c, h, w) in (1usize..4, 1usize..9, 1usize..14, 1usize..20),
    ) {
        let mut case = Case::new(seed);
        let values: Vec<f32> = (0..c * h * w).map(|i| i as f32 / 7.0 - 3.0).collect();
        let value = case.graph.add_param(Param::from_values("value", vec![1, c, h, w], &values));
        let y = case.add(ops::Constant { value, batch: n }, &[]);
        let x = case.input(Shape::new(n, c, h, w));
        let y = case.add(ops::Add, &[y, x]);
        case.check(y, &["constant"])?;
    }
}
