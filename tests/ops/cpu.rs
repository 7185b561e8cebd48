//! Every fast version against its twin, on random shapes with everything in the epilogue.

use pentimento::Error;
use pentimento::cpu::Executor;
use pentimento::graph::{Conv2d, Interpolation, Op, Padding, Path, ops};
use pentimento::pixels::PixelFormat;
use pentimento::plan::{Epilogue, Plan, Upsample, Variant};
use pentimento::tensor::Shape;
use proptest::prelude::*;

use crate::one_step::OneStep;
use crate::support::relative_error;

const BOUND: f64 = 1e-5;

fn upsample() -> impl Strategy<Value = Upsample> {
    prop_oneof![Just(Upsample::None), Just(Upsample::Nearest), Just(Upsample::Bilinear)]
}

/// A convolution on a random tensor, by `variant` and by its twin.
struct Case {
    variant: Variant,
    batch: usize,
    /// Per group.
    channels: [usize; 2],
    size: [usize; 2],
    taps: [usize; 2],
    stride: usize,
    dilation: usize,
    groups: usize,
    padding: Padding,
    upsample: Upsample,
    modulated: bool,
}

impl Case {
    fn error(&self, seed: u64) -> Option<f64> {
        let factor = if self.upsample == Upsample::None { 1 } else { 2 };
        let size = |len: usize, padding: i32, taps: usize| {
            let free = factor * len + padding as usize;
            Some(free.checked_sub(self.dilation * (taps - 1) + 1)? / self.stride + 1)
        };
        let Padding { top, bottom, left, right } = self.padding;
        let height = size(self.size[0], top + bottom, self.taps[0])?;
        let width = size(self.size[1], left + right, self.taps[1])?;
        let [inputs, outputs] = self.channels;
        let mut test = OneStep::new(seed);
        let shape = Shape::new(self.batch, inputs * self.groups, self.size[0], self.size[1]);
        let x = test.input(shape);
        let output = Shape::new(self.batch, outputs * self.groups, height, width);
        let conv = Conv2d {
            weight: test.param(&[output.c, inputs, self.taps[0], self.taps[1]]),
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        };
        let style = self.modulated.then(|| test.input(Shape::vector(self.batch, shape.c)));
        let epilogue = test.full_epilogue(output);
        let op = match style {
            Some(_) => ops::ModulatedConv2d { conv, demodulate: false }.into(),
            None => conv.into(),
        };
        let operands = [x].into_iter().chain(style).collect();
        let [fast, twin] =
            test.run(self.variant.clone(), (op, self.upsample), operands, output, epilogue);
        Some(relative_error(&fast, &twin))
    }
}

prop_compose! {
    fn padding()(top in 0..3, bottom in 0..3, left in 0..3, right in 0..3) -> Padding {
        Padding { top, bottom, left, right }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gemm_is_its_twin(
        batch in 1usize..3, channels in [1usize..9, 1usize..11], size in [1usize..12, 1usize..40],
        taps in [1usize..4, 1usize..6], stride in 1usize..4, dilation in 1usize..4,
        groups in 1usize..4, padding in padding(), upsample in upsample(), modulated: bool, seed: u64,
    ) {
        let variant = Variant::ConvGemm(Vec::new());
        let case = Case {
            variant, batch, channels, size, taps, stride, dilation, groups, padding, upsample, modulated,
        };
        if let Some(error) = case.error(seed) {
            prop_assert!(error < BOUND, "{error}");
        }
    }

    #[test]
    fn small_pictures_are_their_twin(
        batch in 1usize..3, channels in [1usize..9, 12usize..120], size in [1usize..17, 1usize..17],
        taps in [2usize..4, 2usize..6], stride in 1usize..4, dilation in 1usize..4,
        groups in 1usize..3, padding in padding(), upsample in upsample(), modulated: bool, seed: u64,
    ) {
        let variant = Variant::ConvSmall;
        let case = Case {
            variant, batch, channels, size, taps, stride, dilation, groups, padding, upsample, modulated,
        };
        if let Some(error) = case.error(seed) {
            prop_assert!(error < BOUND, "{error}");
        }
    }

    #[test]
    fn winograd_is_its_twin(
        batch in 1usize..3, channels in [1usize..40, 1usize..160], size in [1usize..19, 1usize..41],
        padding in padding(), upsample in upsample(), modulated: bool, seed: u64,
    ) {
        let (variant, taps, stride, dilation, groups) = (Variant::ConvWinograd, [3; 2], 1, 1, 1);
        let case = Case {
            variant, batch, channels, size, taps, stride, dilation, groups, padding, upsample, modulated,
        };
        if let Some(error) = case.error(seed) {
            prop_assert!(error < BOUND, "{error}");
        }
    }

    #[test]
    fn depthwise_is_its_twin(
        batch in 1usize..3, outputs in 1usize..3, size in [1usize..12, 1usize..40],
        taps in [1usize..6, 1usize..6], stride in 1usize..4, dilation in 1usize..3,
        groups in 1usize..9, padding in padding(), upsample in upsample(), modulated: bool, seed: u64,
    ) {
        let (variant, channels) = (Variant::ConvDepthwise, [1, outputs]);
        let case = Case {
            variant, batch, channels, size, taps, stride, dilation, groups, padding, upsample, modulated,
        };
        if let Some(error) = case.error(seed) {
            prop_assert!(error < BOUND, "{error}");
        }
    }

    #[test]
    fn transpose_is_its_twin(
        batch in 1usize..3, channels in [1usize..9, 1usize..11], size in [1usize..9, 1usize..20],
        taps in [1usize..5, 1usize..5], stride in 1usize..4, padding in padding(), seed: u64,
    ) {
        let len = |n: usize, taps: usize, crop: i32| {
            ((n - 1) * stride + taps).checked_sub(crop as usize).filter(|&len| len > 0)
        };
        let Padding { top, bottom, left, right } = padding;
        let height = len(size[0], taps[0], top + bottom);
        let width = len(size[1], taps[1], left + right);
        if let (Some(height), Some(width)) = (height, width) {
            let mut test = OneStep::new(seed);
            let x = test.input(Shape::new(batch, channels[0], size[0], size[1]));
            let weight = test.param(&[channels[1], channels[0], taps[0], taps[1]]);
            let conv = Conv2d { weight, stride, padding, dilation: 1, groups: 1 };
            let style = test.input(Shape::vector(batch, channels[0]));
            let output = Shape::new(batch, channels[1], height, width);
            let epilogue = test.full_epilogue(output);
            let op = ops::ModulatedConvTranspose2d { conv, demodulate: false }.into();
            let op = (op, Upsample::None);
            let [fast, twin] =
                test.run(None, op, vec![x, style], output, epilogue);
            prop_assert!(relative_error(&fast, &twin) < BOUND);
        }
    }

    #[test]
    fn paths_are_their_twin(
        batch in 1usize..3, size in [1usize..12, 1usize..40], seed: u64,
        paths in prop::collection::vec((0usize..3, 1usize..4, 0usize..3, 1usize..4, 1usize..4), 1..4),
    ) {
        let mut test = OneStep::new(seed);
        let channels = 12;
        let mut outputs = 0;
        let paths = paths.into_iter().map(|(first_channel, outer, half, dilation, groups)| {
            let (inner, k) = ((channels - first_channel) / groups, 2 * half + 1);
            outputs += outer * groups;
            let weight = test.param(&[outer * groups, inner, k, k]);
            Path { weight, first_channel, channels: inner * groups, dilation, groups }
        });
        let op = (ops::MultiPathConv(paths.collect()).into(), Upsample::None);
        let x = test.input(Shape::new(batch, channels, size[0], size[1]));
        let output = x.shape.with_channels(outputs);
        let epilogue = test.full_epilogue(output);
        let [fast, twin] = test.run(None, op, vec![x], output, epilogue);
        prop_assert!(relative_error(&fast, &twin) < BOUND);
    }

    #[test]
    fn wide_paths_are_their_twin(
        batch in 1usize..3, size in [1usize..40, 1usize..40], seed: u64,
        paths in prop::collection::vec((0usize..2, 12usize..56, 0usize..3, 1usize..4, 1usize..3), 1..4),
    ) {
        let (first, rest): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.0 == 0);
        // Also such as Winograd computes, between others.
        let undilated = first.iter().map(|&(first, outer, ..)| (first, outer, 1, 1, 1));
        let paths = rest.iter().copied().chain(undilated).chain(first.iter().copied());
        let mut test = OneStep::new(seed);
        let channels = 20;
        let mut outputs = 0;
        let paths = paths.map(|(first_channel, outer, half, dilation, groups)| {
            let (inner, k) = ((channels - 2 * first_channel) / groups, 2 * half + 1);
            outputs += outer * groups;
            let weight = test.param(&[outer * groups, inner, k, k]);
            let first_channel = 2 * first_channel;
            Path { weight, first_channel, channels: inner * groups, dilation, groups }
        });
        let op = (ops::MultiPathConv(paths.collect()).into(), Upsample::None);
        let x = test.input(Shape::new(batch, channels, size[0], size[1]));
        let output = x.shape.with_channels(outputs);
        let epilogue = test.full_epilogue(output);
        let [fast, twin] = test.run(None, op, vec![x], output, epilogue);
        prop_assert!(relative_error(&fast, &twin) < BOUND);
    }

    #[test]
    fn resize_is_its_twin(
        batch in 1usize..3, size in [1usize..12, 1usize..40], to in [1usize..24, 1usize..80],
        given in 0usize..3, seed: u64,
    ) {
        for interpolation in
            [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::BilinearAlignCorners]
        {
            let mut test = OneStep::new(seed);
            let x = test.input(Shape::new(batch, 3, size[0], size[1]));
            // Twice the size, half of it, or any other.
            let (to, step) = match given {
                0 => (size.map(|n| 2 * n), [0.5; 2]),
                1 => (size.map(|n| (n / 2).max(1)), [2.0; 2]),
                _ => (to, [0, 1].map(|i| size[i] as f32 / to[i] as f32)),
            };
            let output = x.shape.with_size(to[0], to[1]);
            let epilogue = test.full_epilogue(output);
            let (height, width) = (to[0], to[1]);
            let op = ops::Resize { height, width, interpolation, step };
            let op = (op.into(), Upsample::None);
            let [fast, twin] = test.run(None, op, vec![x], output, epilogue);
            prop_assert!(relative_error(&fast, &twin) < BOUND);
        }
    }

    #[test]
    fn linear_is_its_twin(
        batch in 1usize..4, inputs in 1usize..300, outputs in 1usize..90, seed: u64,
    ) {
        let mut test = OneStep::new(seed);
        let x = test.input(Shape::vector(batch, inputs));
        let weight = test.param(&[outputs, inputs]);
        let output = Shape::vector(batch, outputs);
        let epilogue = test.full_epilogue(output);
        let op = (ops::Linear(weight).into(), Upsample::None);
        let [fast, twin] = test.run(None, op, vec![x], output, epilogue);
        prop_assert!(relative_error(&fast, &twin) < BOUND);
    }
}

#[test]
fn winograd_stays_precise_over_many_channels() {
    let case = Case {
        variant: Variant::ConvWinograd,
        batch: 1,
        channels: [512, 8],
        size: [16, 16],
        taps: [3; 2],
        stride: 1,
        dilation: 1,
        groups: 1,
        padding: Padding::all(1),
        upsample: Upsample::Bilinear,
        modulated: true,
    };
    let error = case.error(7).unwrap();
    assert!(error < 2e-6, "{error}");
}

/// What an operation makes of `values`, by both executors.
fn apply(op: impl FnOnce(&mut OneStep) -> Op, [from, to]: [Shape; 2], values: &[f32]) -> Vec<f32> {
    let mut test = OneStep::new(1);
    let x = test.input_of(from, values);
    let op = (op(&mut test), Upsample::None);
    let [fast, twin] = test.run(None, op, vec![x], to, Epilogue::default());
    assert_eq!(fast, twin);
    fast
}

#[test]
fn shuffles_move_channels_to_pixels_and_back() {
    let shapes = [Shape::new(1, 4, 1, 2), Shape::new(1, 1, 2, 4)];
    let values = [0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0];
    let pixels = [0.0, 10.0, 1.0, 11.0, 20.0, 30.0, 21.0, 31.0];
    let shuffled = apply(|_| ops::PixelShuffle(2).into(), shapes, &values);
    assert_eq!(shuffled, pixels);
    let [from, to] = shapes;
    let back = apply(|_| ops::PixelUnshuffle(2).into(), [to, from], &pixels);
    assert_eq!(back, values);
}

#[test]
fn resizes_clamp_at_edges() {
    let resize = |interpolation, step, from: [usize; 2], to: [usize; 2], values: &[f32]| {
        let shapes = [from, to].map(|[h, w]| Shape::new(1, 1, h, w));
        let (height, width) = (to[0], to[1]);
        let op = ops::Resize { height, width, interpolation, step: [step; 2] };
        apply(|_| op.into(), shapes, values)
    };
    let doubled = resize(Interpolation::Bilinear, 0.5, [1, 3], [2, 6], &[0.0, 4.0, 8.0]);
    assert_eq!(doubled, [0.0, 1.0, 3.0, 5.0, 7.0, 8.0].repeat(2));
    let halved = resize(Interpolation::Bilinear, 2.0, [2, 5], [1, 2], &[1.0; 10]);
    assert_eq!(halved, [1.0, 1.0]);
    let values = [0.0, 2.0, 4.0, 6.0, 9.0, 1.0, 3.0, 5.0, 7.0, 9.0];
    assert_eq!(resize(Interpolation::Bilinear, 2.0, [2, 5], [1, 2], &values), [1.5, 5.5]);
    let aligned = Interpolation::BilinearAlignCorners;
    assert_eq!(resize(aligned, 0.6, [1, 3], [1, 5], &[0.0, 2.0, 6.0]), [0.0, 1.0, 2.0, 4.0, 6.0]);
    let nearest = resize(Interpolation::Nearest, 1.5, [1, 3], [1, 2], &[1.0, 2.0, 3.0]);
    assert_eq!(nearest, [1.0, 2.0]);
}

#[test]
fn upfirdn2d_flips_pads_and_crops() {
    let filter = |padding, [up, down]: [usize; 2], to: usize, values: &[f32]| {
        let op = |test: &mut OneStep| {
            let kernel = test.param_of(&[1, 2], &[1.0, 10.0]);
            ops::Upfirdn2d { kernel, up, down, padding }.into()
        };
        let shapes = [values.len(), to].map(|w| Shape::new(1, 1, 1, w));
        apply(op, shapes, values)
    };
    let columns = |left, right| Padding { left, right, ..Padding::default() };
    let values = [1.0, 2.0, 3.0];
    assert_eq!(filter(columns(1, 0), [1, 1], 3, &values), [1.0, 12.0, 23.0]);
    assert_eq!(filter(columns(-1, 0), [1, 1], 1, &values), [23.0]);
    assert_eq!(filter(columns(1, 0), [1, 2], 2, &values), [1.0, 23.0]);
}

#[test]
fn wrong_inputs_and_values_are_errors() {
    let mut test = OneStep::new(1);
    let shape = Shape::new(1, 2, 3, 3);
    let x = test.input(shape);
    let op = (ops::Pointwise.into(), Upsample::None);
    let plan = test.plan(None, op, vec![x], shape, Epilogue::default());
    let plan = std::sync::Arc::new(plan);
    let mut executor = Executor::new(plan.clone()).unwrap();
    assert!(matches!(executor.run(&[]), Err(Error::Input(_))));
    assert!(matches!(executor.run(&[&[0.0; 17]]), Err(Error::Input(_))));
    let mut values = [0.5; 18];
    values[17] = f32::NAN;
    assert!(matches!(executor.run(&[&values]), Err(Error::NonFinite { node }) if node == "step"));
    assert!(executor.run_image(&[0; 9], PixelFormat::UNIT, PixelFormat::UNIT).is_err());

    let mut overlapping = Plan::clone(&plan);
    overlapping.steps[0].output = x;
    assert!(matches!(Executor::new(overlapping.into()), Err(Error::Internal(_))));
}

#[test]
fn pictures_go_in_and_out() {
    let mut test = OneStep::new(1);
    let shape = Shape::new(1, 3, 1, 2);
    let x = test.input(shape);
    let op = (ops::Pointwise.into(), Upsample::None);
    let plan = test.plan(None, op, vec![x], shape, Epilogue::default());
    let mut executor = Executor::new(plan.into()).unwrap();
    let bgra = PixelFormat { channels: 4, bgr: true, ..PixelFormat::SIGNED };
    let rgb = [0, 128, 255, 7, 8, 9];
    assert_eq!(executor.run_image(&rgb, PixelFormat::SIGNED, PixelFormat::SIGNED).unwrap(), rgb);
    let swapped = executor.run_image(&rgb, PixelFormat::SIGNED, bgra).unwrap();
    assert_eq!(swapped, [255, 128, 0, 255, 9, 8, 7, 255]);
}
