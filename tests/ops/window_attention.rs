//! `window_attention`: windows that the borders cut, of more pixels than a workgroup has queries.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(5))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..19, 1usize..19),
        (rows, columns) in (1usize..11, 1usize..13),
        (above, before) in (0usize..11, 0usize..13),
        (heads, width) in (1usize..4, 1usize..40),
        margin in prop_oneof![Just(0usize), 1usize..4],
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let shape = Shape::new(n, heads * width, h, w);
        let query = case.input(shape);
        // Steep enough that the highest score changes from block to block.
        let steep = case.add(ops::Scale(3.0), &[query]);
        let key = case.input(shape);
        let value = case.input(shape);
        let bias = case.weight(&[heads, 2 * (rows + margin) - 1, 2 * (columns + margin) - 1]);
        let op = ops::WindowAttention {
            heads,
            window: [rows, columns],
            offset: [above % rows, before % columns],
            margin,
            bias,
        };
        let y = case.add(op, &[steep, key, value]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["window_attention"])?;
    }
}
