//! `window_partition`: windows side by side and dilated, to samples and back.

use pentimento::graph::ops;
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config, parts};

proptest! {
    #![proptest_config(config(24))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, c, h, w) in (1usize..3, 1usize..5, 1usize..7, 1usize..9),
        windows in [1usize..5, 1usize..6],
        dilated: bool,
        reverse: bool,
        parts in parts(),
    ) {
        let mut case = Case::new(seed);
        let [rows, columns] = windows;
        let x = case.input(match reverse {
            true => Shape::new(n * rows * columns, c, h, w),
            false => Shape::new(n, c, h * rows, w * columns),
        });
        let y = case.add(ops::WindowPartition { windows, dilated, reverse }, &[x]);
        let y = case.epilogue(y, &parts);
        case.check(y, &["window_partition"])?;
    }
}
