//! `multi_path_conv`: any list of kernels, dilations, groups and channel ranges.

use pentimento::graph::{Path, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(5))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..20, 1usize..24),
        blocks in 1usize..4,
        paths in prop::collection::vec((0usize..4, 1usize..4, 1usize..3, 1usize..6, any::<bool>()), 1..5),
        parts in parts(),
    ) {
        let width = 4 * blocks;
        let mut case = Case::new(seed);
        let x = case.input(Shape::new(n, width, h, w));
        let paths = paths
            .into_iter()
            .map(|(radius, dilation, groups, out, all)| {
                let channels = if all { width } else { 4 };
                let kernel = 2 * radius + 1;
                let weight = case.weight(&[out * groups, channels / groups, kernel, kernel]);
                Path { weight, first_channel: width - channels, channels, dilation, groups }
            })
            .collect();
        let y = case.add(ops::MultiPathConv(paths), &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["multi_path_conv", "conv_paths", "conv_gemm_cooperative"])?;
    }
}
