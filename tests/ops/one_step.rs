//! Plans of one step, and random tensors, for the tests of kernels.

use std::sync::Arc;

use pentimento::cpu::Executor;
use pentimento::graph::{Activation, Graph, Op, Param, ParamId};
use pentimento::plan::{
    Epilogue, Plan, Sft, Step, Storage, StorageId, Target, Upsample, Variant, View,
};
use pentimento::tensor::{Dtype, Shape};

/// A plan under construction: every tensor has a storage of its own, in two blocks.
pub struct OneStep {
    graph: Graph,
    storages: Vec<Storage>,
    blocks: Vec<usize>,
    inputs: Vec<(View, Vec<f32>)>,
    seed: u64,
}

impl OneStep {
    pub fn new(seed: u64) -> Self {
        let (graph, storages, inputs) = (Graph::new(), Vec::new(), Vec::new());
        Self { graph, storages, blocks: vec![0; 2], inputs, seed }
    }

    /// Values between -1 and 1.
    pub fn random(&mut self, len: usize) -> Vec<f32> {
        let mut next = || {
            // SplitMix64, Steele, Lea, Flood 2014.
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    pub fn param(&mut self, dims: &[usize]) -> ParamId {
        let values = self.random(dims.iter().product());
        self.param_of(dims, &values)
    }

    pub fn param_of(&mut self, dims: &[usize], values: &[f32]) -> ParamId {
        self.graph.add_param(Param::from_values("parameter", dims.to_vec(), values))
    }

    pub fn input(&mut self, shape: Shape) -> View {
        let values = self.random(shape.len());
        self.input_of(shape, &values)
    }

    pub fn input_of(&mut self, shape: Shape, values: &[f32]) -> View {
        let view = self.view(shape);
        self.inputs.push((view, values.to_vec()));
        view
    }

    /// A tensor whose samples do not follow each other.
    pub fn view(&mut self, shape: Shape) -> View {
        let [before, between] = [16, 3];
        let batch_stride = shape.sample() + between;
        let len = before + shape.n * batch_stride;
        let block = self.storages.len() % 2;
        let storage = StorageId(self.storages.len() as u32);
        let offset = self.blocks[block];
        self.storages.push(Storage { len, dtype: Dtype::F32, lifetime: [0, 0], block, offset });
        self.blocks[block] += (len * size_of::<f32>()).next_multiple_of(64);
        View { storage, offset: before, batch_stride, shape, blocked: false }
    }

    /// An epilogue with everything for an output of `shape`.
    pub fn full_epilogue(&mut self, shape: Shape) -> Epilogue {
        let first_channel = shape.c / 2;
        let condition = shape.with_channels(shape.c - first_channel);
        Epilogue {
            demodulation: Some(self.input(Shape::vector(shape.n, shape.c))),
            gain: 1.5,
            noise: Some((self.param(&[1, 1, shape.h, shape.w]), 0.3)),
            bias: Some(self.param(&[shape.c])),
            activation: Activation::Prelu(self.param(&[shape.c])),
            activation_gain: 0.7,
            sft: Some(Sft {
                scale: self.input(condition),
                shift: self.input(condition),
                first_channel,
            }),
            residual: Some(self.input(shape)),
            output_gain: 0.9,
        }
    }

    /// A plan of one step, by `variant` or else by what is chosen for it.
    pub fn plan(
        &mut self,
        variant: impl Into<Option<Variant>>,
        (op, upsample): (Op, Upsample),
        operands: Vec<View>,
        output: Shape,
        epilogue: Epilogue,
    ) -> Plan {
        let output = self.view(output);
        let step = Step::new("step", op, Variant::Pointwise, operands, output);
        let mut plan = Plan {
            graph: Arc::new(self.graph.clone()),
            target: Target::cpu(),
            steps: vec![Step { upsample, epilogue, ..step }],
            storages: self.storages.clone(),
            blocks: self.blocks.clone(),
            inputs: self.inputs.iter().map(|(view, _)| *view).collect(),
            outputs: vec![output],
        };
        let chosen = variant.into().unwrap_or_else(|| plan.candidates(0).unwrap().swap_remove(0));
        plan.steps[0].variant = chosen;
        plan
    }

    /// The step's output by the fast kernel and by the twin; `variant` as for [`plan`](Self::plan).
    pub fn run(
        mut self,
        variant: impl Into<Option<Variant>>,
        (op, upsample): (Op, Upsample),
        operands: Vec<View>,
        output: Shape,
        epilogue: Epilogue,
    ) -> [Vec<f32>; 2] {
        let plan = Arc::new(self.plan(variant, (op, upsample), operands, output, epilogue));
        let inputs: Vec<&[f32]> = self.inputs.iter().map(|(_, values)| &values[..]).collect();
        [Executor::new(plan.clone()), Executor::reference(plan)].map(|executor| {
            let mut executor = executor.unwrap();
            let first = executor.run(&inputs).unwrap();
            assert_eq!(executor.run(&inputs).unwrap(), first);
            first.into_iter().next().unwrap()
        })
    }
}
