//! `conv_winograd`: F(4×4, 3×3), at sizes that are no multiple of its tiles.

use pentimento::graph::{Conv2d, Interpolation, Padding, ops};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::harness::{Case, Parts, config, parts};
use crate::support::Executor;

/// Executors, and the smallest side of a result at which they choose it. A GPU does so at large ones
/// only, of which few are tried; the tests within the library run its kernels on small ones.
type At<'a> = (&'a [Executor], usize);
const CPU: At<'_> = (&[Executor::Cpu], 17);
const GPU: At<'_> = (&[Executor::Gpu, Executor::GpuF16], 256);

fn convolution(
    (executors, smallest): At<'_>,
    seed: u64,
    [n, h, w]: [usize; 3],
    [i, o]: [usize; 2],
    [top, bottom, left, right]: [i32; 4],
    parts: &Parts,
) -> Result<(), TestCaseError> {
    let mut case = Case::new(seed);
    let x = case.input(Shape::new(n, i, smallest + h, smallest + w));
    let weight = case.weight(&[o, i, 3, 3]);
    let padding = Padding { top, bottom, left, right };
    let y = case.add(Conv2d { padding, ..Conv2d::same(weight, 3) }, &[x]);
    let y = case.epilogue(y, parts);
    case.check_by(executors, y, &["conv_winograd"])
}

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn agrees_with_its_twin(
        seed: u64,
        (n, h, w) in (1usize..3, 2usize..13, 2usize..21),
        (i, o) in (32usize..70, 32usize..70),
        pads in prop::array::uniform4(0i32..3),
        parts in parts(),
    ) {
        convolution(CPU, seed, [n, h, w], [i, o], pads, &parts)?;
    }
}

proptest! {
    #![proptest_config(config(2))]
    #[test]
    fn agrees_with_its_twin_on_the_gpu(
        seed: u64,
        (h, w) in (2usize..13, 2usize..21),
        (i, o) in (32usize..35, 32usize..35),
        pads in prop::array::uniform4(0i32..3),
        parts in parts(),
    ) {
        convolution(GPU, seed, [1, h, w], [i, o], pads, &parts)?;
    }
}

fn modulated(
    (executors, smallest): At<'_>,
    seed: u64,
    [n, h, w]: [usize; 3],
    [i, o]: [usize; 2],
    [bilinear, demodulate]: [bool; 2],
    parts: &Parts,
) -> Result<(), TestCaseError> {
    let mut case = Case::new(seed);
    let (h, w) = (smallest.div_ceil(2) + h, smallest.div_ceil(2) + w);
    let x = case.input(Shape::new(n, i, h, w));
    let interpolation = if bilinear { Interpolation::Bilinear } else { Interpolation::Nearest };
    let double = ops::Resize { height: 2 * h, width: 2 * w, interpolation, step: [0.5; 2] };
    let x = case.add(double, &[x]);
    let code = case.input(Shape::vector(n, 5));
    let affine = case.weight(&[i, 5]);
    let style = case.add(ops::Linear(affine), &[code]);
    let weight = case.weight(&[o, i, 3, 3]);
    let conv = Conv2d::same(weight, 3);
    let op = ops::ModulatedConv2d { conv, demodulate };
    let y = case.add(op, &[x, style]);
    let y = case.epilogue(y, parts);
    case.check_by(executors, y, &["conv_winograd"])
}

proptest! {
    #![proptest_config(config(12))]
    #[test]
    fn modulates_and_doubles_in_its_loads(
        seed: u64,
        (n, h, w) in (1usize..3, 0usize..5, 0usize..10),
        (i, o) in (32usize..50, 32usize..50),
        (bilinear, demodulate) in any::<(bool, bool)>(),
        parts in parts(),
    ) {
        modulated(CPU, seed, [n, h, w], [i, o], [bilinear, demodulate], &parts)?;
    }
}

proptest! {
    #![proptest_config(config(2))]
    #[test]
    fn modulates_and_doubles_in_its_loads_on_the_gpu(
        seed: u64,
        (h, w) in (0usize..5, 0usize..10),
        (i, o) in (32usize..35, 32usize..35),
        demodulate: bool,
        parts in parts(),
    ) {
        for bilinear in [false, true] {
            modulated(GPU, seed, [1, h, w], [i, o], [bilinear, demodulate], &parts)?;
        }
    }
}
