//! One step of a convolution kernel with random inputs, and what its twin yields.

use std::sync::Arc;

use crate::cpu;
use crate::gpu::testing::{param, random};
use crate::graph::{Activation, Conv2d, Graph, Op, Padding, Path, ops};
use crate::plan::{
    BLOCK, Epilogue, Plan, Sft, Step, Storage, StorageId, Target, Upsample, Variant, View,
    scratch_len,
};
use crate::tensor::{Dtype, Shape};

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
}

impl Trial {
    /// The ways to tile it that add in one order.
    pub fn tiles(&self) -> Vec<Variant> {
        let kernel = self.plan.steps[0].variant.name();
        let mut tiles = self.plan.candidates(0).unwrap();
        tiles.retain(|variant| variant.name() == kernel);
        tiles
    }

    /// What the twin of the step yields: of the same views, in memory of f32.
    pub fn expected(&self) -> Vec<f32> {
        let mut plan = Plan { target: Target::cpu(), ..self.plan.clone() };
        plan = plan.for_cpu().unwrap();
        let inputs: Vec<&[f32]> = self.inputs.iter().map(Vec::as_slice).collect();
        let mut twin = cpu::Executor::reference(Arc::new(plan)).unwrap();
        twin.run(&inputs).unwrap().swap_remove(0)
    }
}

fn storage(storages: &mut Vec<Storage>, shape: Shape, dtype: Dtype, blocks: bool) -> View {
    // Samples lie apart, and the first not at the beginning; but where rows are long words, so
    // are these gaps.
    let gap = match (shape.plane(), shape.w) {
        (1, _) => 0,
        _ if blocks && shape.c.is_multiple_of(BLOCK) => BLOCK * shape.plane(),
        (_, width) if width.is_multiple_of(4) => 8,
        _ => 6,
    };
    let view = View {
        storage: StorageId(storages.len() as u32),
        offset: gap,
        batch_stride: shape.sample() + gap,
        shape,
        blocked: false,
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
    graph: Graph,
    storages: Vec<Storage>,
    inputs: Vec<View>,
    values: Vec<Vec<f32>>,
    target: Target,
}

impl Maker {
    fn storage(&mut self, shape: Shape, dtype: Dtype) -> View {
        storage(&mut self.storages, shape, dtype, self.target.blocks)
    }

    fn input(&mut self, shape: Shape) -> View {
        let dtype = if shape.plane() == 1 { Dtype::F32 } else { self.target.dtype };
        let view = self.storage(shape, dtype);
        self.inputs.push(view);
        self.values.push(random(self.inputs.len() as u32, shape.len()));
        view
    }
}

/// Builds the step of `case` for `target`.
pub(super) fn trial(case: &Case, target: &Target) -> Trial {
    let mut maker = Maker {
        graph: Graph::new(),
        storages: Vec::new(),
        inputs: Vec::new(),
        values: Vec::new(),
        target: target.clone(),
    };
    let x = maker.input(case.x);
    let to = case.output();
    let style =
        (case.style || case.transposed).then(|| maker.input(Shape::vector(case.x.n, case.x.c)));
    let op: Op = if case.paths.is_empty() {
        let dims = [case.outputs, case.x.c / case.groups, case.taps[0], case.taps[1]];
        let weight = param(&mut maker.graph, &dims);
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
        let paths = case.paths.iter().map(|&[outputs, first, channels, size, dilation, groups]| {
            let weight = param(&mut maker.graph, &[outputs, channels / groups, size, size]);
            Path { weight, first_channel: first, channels, dilation, groups }
        });
        ops::MultiPathConv(paths.collect()).into()
    };
    let epilogue = if case.epilogue { epilogue(&mut maker, case) } else { Epilogue::default() };
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
    plan.arrange_all_but(&[]);
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
        step.scratch = Some(storage(storages, shape, Dtype::F32, false));
    }
    let bytes = plan.storages.iter().map(|storage| storage.bytes().next_multiple_of(4));
    plan.blocks = bytes.collect();
    Trial { plan, inputs: maker.values }
}

/// Every part that a kernel binds buffers for.
fn epilogue(maker: &mut Maker, case: &Case) -> Epilogue {
    let to = case.output();
    let demodulation = maker.input(Shape::vector(to.n, to.c));
    let noise = param(&mut maker.graph, &[1, 1, to.h, to.w]);
    let bias = param(&mut maker.graph, &[to.c]);
    let first_channel = to.c / 2;
    let half = to.with_channels(to.c - first_channel);
    let [scale, shift] = [maker.input(half), maker.input(half)];
    // A transposed convolution always has a style, and a kernel binds eight buffers.
    let residual = (!case.transposed).then(|| maker.input(to));
    Epilogue {
        demodulation: Some(demodulation),
        gain: 1.5,
        noise: Some((noise, 0.5)),
        bias: Some(bias),
        activation: Activation::LeakyRelu(0.2),
        activation_gain: 1.25,
        sft: Some(Sft { scale, shift, first_channel }),
        residual,
        output_gain: 0.75,
    }
}
