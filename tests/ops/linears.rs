//! `linears`: layers of all sizes side by side, of whole vectors and of parts.

use pentimento::graph::ops::{self, Layer, Linears};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, config};

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        n in 1usize..6,
        word in prop::sample::select(vec![1, 4]),
        layers in prop::collection::vec((0usize..9, 1usize..30, 1usize..90), 1..5),
        (bias, activated) in (any::<bool>(), any::<bool>()),
    ) {
        let mut case = Case::new(seed);
        let x = case.input(Shape::vector(n, word * 40));
        let layer = |&(first, inputs, outputs): &(usize, usize, usize)| Layer {
            weight: case.weight(&[outputs, word * inputs]),
            bias: bias.then(|| case.vector(outputs)),
            first: word * first,
        };
        let layers = layers.iter().map(layer).collect();
        let y = case.add(Linears { layers, demodulate: false }, &[x]);
        let y = if activated { case.add(ops::Scale(0.5), &[y]) } else { y };
        case.check(y, &["linears"])?;
    }

    #[test]
    fn demodulates_as_its_twin(
        seed: u64,
        (n, kernel) in (1usize..6, 1usize..4),
        word in prop::sample::select(vec![1, 4]),
        layers in prop::collection::vec((0usize..9, 1usize..30, 1usize..90), 1..5),
    ) {
        let mut case = Case::new(seed);
        let styles = case.input(Shape::vector(n, word * 40));
        let layer = |&(first, inputs, outputs): &(usize, usize, usize)| Layer {
            weight: case.weight(&[outputs, word * inputs, kernel, kernel]),
            bias: None,
            first: word * first,
        };
        let layers = layers.iter().map(layer).collect();
        let y = case.add(Linears { layers, demodulate: true }, &[styles]);
        case.check(y, &["linears"])?;
    }
}
