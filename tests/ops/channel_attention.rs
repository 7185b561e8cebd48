//! `channel_attention`: numbers of channels and pixels that are no multiple of its blocks.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(6))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 1usize..40, 1usize..40),
        (heads, width) in (1usize..4, 1usize..20),
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let shape = Shape::new(n, heads * width, h, w);
        let [query, key, value] = [(); 3].map(|()| case.input(shape));
        let temperature = case.vector(heads);
        let y = case.add(ops::ChannelAttention { heads, temperature }, &[query, key, value]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["channel_attention"])?;
    }
}
