//! `attention`: numbers of queries, keys and channels that are no multiple of its tiles.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(4))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..11, 1usize..11),
        (key_h, key_w) in (1usize..14, 1usize..14),
        (heads, width) in (1usize..4, 1usize..80),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let channels = heads * width;
        let query = case.input(Shape::new(n, channels, h, w));
        // Steep enough that the highest score changes from block to block.
        let steep = case.add(ops::Scale(3.0), &[query]);
        let key = case.input(Shape::new(n, channels, key_h, key_w));
        let value = case.input(Shape::new(n, channels, key_h, key_w));
        let y = case.add(ops::Attention { heads }, &[steep, key, value]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["attention"])?;
    }
}
