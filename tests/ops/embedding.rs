//! `embedding`: rows of a table.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(6))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..9, 1usize..9),
        (rows, channels) in (1usize..50, 1usize..20),
        indices in prop::collection::vec(0usize..50, 2 * 8 * 8),
        parts in parts(),
    ) {
        let shape = Shape::new(n, 1, h, w);
        let mut case = Case::new(seed);
        let indices = indices.into_iter().map(|i| (i % rows) as f32).take(shape.len()).collect();
        let x = case.input_of(shape, indices);
        let table = case.weight(&[rows, channels]);
        let y = case.add(ops::Embedding(table), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["embedding"])?;
    }
}
