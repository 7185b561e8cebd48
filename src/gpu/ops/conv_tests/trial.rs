//! One step of a convolution kernel with random inputs, and plain loops for what it must yield.

use std::sync::Arc;

use crate::graph::{Activation, Conv2d, Graph, Op, Padding, Param, ParamId, Path, ops};
use crate::plan::{
    Epilogue, Plan, Sft, Step, Storage, StorageId, Target, Upsample, Variant, View, scratch_len,
};
use crate::tensor::{Dtype, Shape};

/// A linear congruential generator (Numerical Recipes), values in -1..1.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// What is convolved how.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub kernel: &'static str,
    pub x: Shape,
    pub outputs: usize,
    pub taps: [usize; 2],
    pub stride: usize,
    pub padding: Padding,
    pub dilation: usize,
    pub groups: usize,
    pub upsample: Upsample,
    pub style: bool,
    pub transposed: bool,
    /// Demodulation, noise, bias, leaky ReLU, SFT and residual.
    pub epilogue: bool,
    /// Instead of one convolution: `[outputs, first channel, channels, size, dilation, groups]`.
    pub paths: Vec<[usize; 6]>,
}

impl Case {
    pub fn new(kernel: &'static str, x: [usize; 4], outputs: usize, size: usize) -> Self {
        Self {
            kernel,
            x: Shape::new(x[0], x[1], x[2], x[3]),
            outputs,
            taps: [size, size],
            stride: 1,
            padding: Padding::all((size / 2) as i32),
            dilation: 1,
            groups: 1,
            upsample: Upsample::None,
            style: false,
            transposed: false,
            epilogue: false,
            paths: Vec::new(),
        }
    }

    fn resized(&self) -> Shape {
        let factor = if self.upsample == Upsample::None { 1 } else { 2 };
        self.x.with_size(self.x.h * factor, self.x.w * factor)
    }

    pub fn output(&self) -> Shape {
        let x = self.resized();
        if !self.paths.is_empty() {
            return x.with_channels(self.paths.iter().map(|p| p[0]).sum());
        }
        let Padding { top, bottom, left, right } = self.padding;
        let size = |n: usize, padding: i32, k: usize| {
            if self.transposed {
                (n - 1) * self.stride + k - padding as usize
            } else {
                (n + padding as usize - self.dilation * (k - 1) - 1) / self.stride + 1
            }
        };
        let [kh, kw] = self.taps;
        Shape::new(x.n, self.outputs, size(x.h, top + bottom, kh), size(x.w, left + right, kw))
    }
}

/// A plan of one step and what its inputs are.
pub(super) struct Trial {
    pub plan: Plan,
    pub inputs: Vec<Vec<f32>>,
    pub expected: Vec<f64>,
}

impl Trial {
    /// The ways to tile it that add in one order.
    pub fn tiles(&self) -> Vec<Variant> {
        let kernel = self.plan.steps[0].variant.name();
        let mut tiles = self.plan.candidates(0).unwrap();
        tiles.retain(|variant| variant.name() == kernel);
        tiles
    }
}

fn storage(storages: &mut Vec<Storage>, shape: Shape, dtype: Dtype) -> View {
    // Samples lie apart, and the first not at the beginning; but where rows are long words, so
    // are these gaps.
    let gap = match (shape.plane(), shape.w) {
        (1, _) => 0,
        (_, 8 | 16 | 60 | 120) => 8,
        _ => 6,
    };
    let view = View {
        storage: StorageId(storages.len() as u32),
        offset: gap,
        batch_stride: shape.sample() + gap,
        shape,
    };
    storages.push(Storage {
        len: gap + shape.n * view.batch_stride,
        dtype,
        lifetime: [0, 0],
        block: storages.len(),
        offset: 0,
    });
    view
}

/// Collects parameters, storages and inputs.
struct Maker {
    random: Random,
    graph: Graph,
    storages: Vec<Storage>,
    inputs: Vec<View>,
    values: Vec<Vec<f32>>,
    target: Target,
}

impl Maker {
    fn param(&mut self, dims: &[usize]) -> (ParamId, Vec<f32>) {
        let values = self.random.values(dims.iter().product());
        (self.graph.add_param(Param::from_values("p", dims.to_vec(), &values)), values)
    }

    fn storage(&mut self, shape: Shape, dtype: Dtype) -> View {
        storage(&mut self.storages, shape, dtype)
    }

    fn input(&mut self, shape: Shape) -> (View, Vec<f32>) {
        let dtype = if shape.plane() == 1 { Dtype::F32 } else { self.target.dtype };
        let view = self.storage(shape, dtype);
        let values = self.random.values(shape.len());
        self.inputs.push(view);
        self.values.push(values.clone());
        (view, values)
    }
}

/// PyTorch's bilinear ×2 or each pixel twice, by the formula of `Op::Resize`.
fn resize(x: &[f64], shape: Shape, upsample: Upsample) -> Vec<f64> {
    let weights = |size: usize, at: usize| {
        let source = (0.5 * (at as f64 + 0.5) - 0.5).max(0.0);
        let first = source as usize;
        [(first, 1.0 - source.fract()), ((first + 1).min(size - 1), source.fract())]
    };
    let mut y = Vec::new();
    for plane in x.chunks_exact(shape.plane()) {
        for h in 0..2 * shape.h {
            for w in 0..2 * shape.w {
                y.push(if upsample == Upsample::Nearest {
                    plane[h / 2 * shape.w + w / 2]
                } else {
                    let mut sum = 0.0;
                    for (row, a) in weights(shape.h, h) {
                        for (column, b) in weights(shape.w, w) {
                            sum += a * b * plane[row * shape.w + column];
                        }
                    }
                    sum
                });
            }
        }
    }
    y
}

/// One convolution (or a path), added to channels from `first_output` on of `y`.
struct Plain<'a> {
    x: &'a [f64],
    from: Shape,
    first_input: usize,
    inputs: usize,
    weight: &'a [f32],
    outputs: usize,
    case: &'a Case,
    taps: [usize; 2],
    padding: [i32; 2],
    dilation: usize,
    groups: usize,
}

impl Plain<'_> {
    fn add(&self, y: &mut [f64], to: Shape, first_output: usize) {
        let [kh, kw] = self.taps;
        let (group_inputs, group_outputs) = (self.inputs / self.groups, self.outputs / self.groups);
        let stride = self.case.stride as i32;
        // Which input feeds output `at` through tap `k`, if any.
        let source = |at: usize, k: usize, padding: i32, size: usize| -> Option<usize> {
            let position = if self.case.transposed {
                let strided = at as i32 + padding - k as i32;
                (strided % stride == 0).then_some(strided / stride)?
            } else {
                at as i32 * stride + (k * self.dilation) as i32 - padding
            };
            usize::try_from(position).ok().filter(|&p| p < size)
        };
        for n in 0..to.n {
            for o in 0..self.outputs {
                for h in 0..to.h {
                    for w in 0..to.w {
                        let mut sum = 0.0;
                        for i in 0..group_inputs {
                            let c = self.first_input + o / group_outputs * group_inputs + i;
                            for u in 0..kh {
                                for v in 0..kw {
                                    let row = source(h, u, self.padding[0], self.from.h);
                                    let column = source(w, v, self.padding[1], self.from.w);
                                    if let (Some(row), Some(column)) = (row, column) {
                                        let plane = (n * self.from.c + c) * self.from.plane();
                                        let at = ((o * group_inputs + i) * kh + u) * kw + v;
                                        sum += f64::from(self.weight[at])
                                            * self.x[plane + row * self.from.w + column];
                                    }
                                }
                            }
                        }
                        y[((n * to.c + first_output + o) * to.h + h) * to.w + w] += sum;
                    }
                }
            }
        }
    }
}

/// Builds the step of `case` for `target`; with `reference`, computes what it must yield.
pub(super) fn trial(case: &Case, target: &Target, reference: bool) -> Trial {
    let mut maker = Maker {
        random: Random(1),
        graph: Graph::new(),
        storages: Vec::new(),
        inputs: Vec::new(),
        values: Vec::new(),
        target: target.clone(),
    };
    let (x, x_values) = maker.input(case.x);
    let from = case.resized();
    let to = case.output();
    let mut plain: Vec<f64> = x_values.iter().map(|&v| f64::from(v)).collect();
    let mut y = vec![0.0; if reference { to.len() } else { 0 }];
    let style =
        (case.style || case.transposed).then(|| maker.input(Shape::vector(case.x.n, case.x.c)));
    if let Some((_, style)) = &style {
        for (plane, s) in plain.chunks_exact_mut(case.x.plane()).zip(style) {
            plane.iter_mut().for_each(|v| *v *= f64::from(*s));
        }
    }
    let style = style.map(|(view, _)| view);
    if case.upsample != Upsample::None && reference {
        plain = resize(&plain, case.x, case.upsample);
    }
    let op: Op = if case.paths.is_empty() {
        let dims = [case.outputs, case.x.c / case.groups, case.taps[0], case.taps[1]];
        let (weight, values) = maker.param(&dims);
        if reference {
            let conv = Plain {
                x: &plain,
                from,
                first_input: 0,
                inputs: case.x.c,
                weight: &values,
                outputs: case.outputs,
                case,
                taps: case.taps,
                padding: [case.padding.top, case.padding.left],
                dilation: case.dilation,
                groups: case.groups,
            };
            conv.add(&mut y, to, 0);
        }
        let Case { stride, padding, dilation, groups, .. } = *case;
        let conv = Conv2d { weight, stride, padding, dilation, groups };
        match style {
            _ if case.transposed => {
                ops::ModulatedConvTranspose2d { conv, demodulate: false }.into()
            }
            Some(_) => ops::ModulatedConv2d { conv, demodulate: false }.into(),
            None => conv.into(),
        }
    } else {
        let mut first_output = 0;
        let paths = case.paths.iter().map(|&[outputs, first, channels, size, dilation, groups]| {
            let (weight, values) = maker.param(&[outputs, channels / groups, size, size]);
            if reference {
                let padding = [(size / 2 * dilation) as i32; 2];
                let conv = Plain {
                    x: &plain,
                    from,
                    first_input: first,
                    inputs: channels,
                    weight: &values,
                    outputs,
                    case,
                    taps: [size, size],
                    padding,
                    dilation,
                    groups,
                };
                conv.add(&mut y, to, first_output);
            }
            first_output += outputs;
            Path { weight, first_channel: first, channels, dilation, groups }
        });
        ops::MultiPathConv(paths.collect()).into()
    };
    let mut epilogue = Epilogue::default();
    if case.epilogue {
        let (demodulation, d) = maker.input(Shape::vector(to.n, to.c));
        let (noise, noise_values) = maker.param(&[1, 1, to.h, to.w]);
        let (bias, b) = maker.param(&[to.c]);
        let first_channel = to.c / 2;
        let half = to.with_channels(to.c - first_channel);
        let (scale, scales) = maker.input(half);
        let (shift, shifts) = maker.input(half);
        let (residual, residuals) = maker.input(to);
        epilogue = Epilogue {
            demodulation: Some(demodulation),
            gain: 1.5,
            noise: Some((noise, 0.5)),
            bias: Some(bias),
            activation: Activation::LeakyRelu(0.2),
            activation_gain: 1.25,
            sft: Some(Sft { scale, shift, first_channel }),
            // A transposed convolution always has a style, and a kernel binds eight buffers.
            residual: (!case.transposed).then_some(residual),
            output_gain: 0.75,
        };
        for (at, v) in y.iter_mut().enumerate() {
            let (n, o, pixel) = (at / to.sample(), at / to.plane() % to.c, at % to.plane());
            *v = *v * f64::from(d[n * to.c + o]) * 1.5 + 0.5 * f64::from(noise_values[pixel]);
            *v += f64::from(b[o]);
            *v = 1.25 * if *v > 0.0 { *v } else { 0.2 * *v };
            if o >= first_channel {
                let at = (n * half.c + o - first_channel) * to.plane() + pixel;
                *v = *v * f64::from(scales[at]) + f64::from(shifts[at]);
            }
            let residual = if case.transposed { 0.0 } else { residuals[at] };
            *v = 0.75 * (*v + f64::from(residual));
        }
    }
    let output = maker.storage(to, target.dtype);
    let operands = [x].into_iter().chain(style).collect();
    let step = Step::new("trial", op, Variant::Pointwise, operands, output);
    let mut plan = Plan {
        graph: Arc::new(maker.graph),
        target: target.clone(),
        steps: vec![Step { upsample: case.upsample, epilogue, ..step }],
        storages: maker.storages,
        blocks: Vec::new(),
        inputs: maker.inputs,
        outputs: vec![output],
    };
    // Cooperative matrices take the place of other products, where all factors are halves.
    let products = ["conv_gemm", "multi_path_conv"].contains(&case.kernel);
    let candidates = plan.candidates(0).unwrap();
    let named = |name: &str| candidates.iter().find(|variant| variant.name() == name).cloned();
    let cooperative = if products { named("conv_gemm_cooperative") } else { None };
    plan.steps[0].variant = cooperative.or_else(|| named(case.kernel)).unwrap();
    let scratch = scratch_len(&plan.steps[0], target);
    if scratch > 0 {
        let shape = Shape::vector(1, scratch);
        let (step, storages) = (&mut plan.steps[0], &mut plan.storages);
        step.scratch = Some(storage(storages, shape, Dtype::F32));
    }
    let bytes = plan.storages.iter().map(|storage| storage.bytes().next_multiple_of(4));
    plan.blocks = bytes.collect();
    Trial { plan, inputs: maker.values, expected: y }
}
