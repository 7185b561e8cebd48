//! `conv_paths`: wide paths, of which some are transformed and others multiplied.

use pentimento::graph::{Path, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(6))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (h, w) in (28usize..40, 28usize..40),
        paths in prop::collection::vec((0usize..3, 1usize..3, 12usize..40), 1..4),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(1, 18, h, w));
        let paths = paths
            .into_iter()
            .map(|(radius, dilation, out)| {
                let kernel = 2 * radius + 1;
                let weight = case.weight(&[out, 18, kernel, kernel]);
                Path { weight, first_channel: 0, channels: 18, dilation, groups: 1 }
            })
            .collect();
        let y = case.add(ops::MultiPathConv(paths), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["conv_paths"])?;
    }
}
