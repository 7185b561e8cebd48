//! Graph → steps: every chain of nodes becomes one step, every value gets a home.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::concat::{Known, Parts};
use super::fuse::{self, Chain, Slot};
use super::place::place;
use super::scratch::scratch_len;
use super::select::select;
use super::{
    Compute, Epilogue, Kernel, Plan, Sft, Step, Storage, StorageId, Target, Upsample, View,
};
use crate::error::{Error, Result};
use crate::graph::{Graph, Interpolation, NodeId, Op};
use crate::tensor::{Dtype, Shape};

impl Plan {
    /// Plans `graph` for `target`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when one tensor alone exceeds the largest binding, or the
    /// intermediates together exceed the budget.
    pub fn new(graph: Arc<Graph>, target: Target) -> Result<Self> {
        let lowering = Lowering::new(&graph, &target);
        let (steps, mut storages, inputs, outputs) = lowering.run();
        let limit = target.max_binding.min(target.max_buffer);
        if let Some(largest) = storages.iter().map(Storage::bytes).max().filter(|&b| b > limit) {
            return Err(Error::OutOfMemory {
                needed: largest,
                available: limit,
                hint: "one intermediate exceeds the device's largest buffer; use smaller tiles"
                    .to_owned(),
            });
        }
        let blocks = place(&mut storages, target.alignment, target.max_buffer);
        let plan = Plan { graph, target, steps, storages, blocks, inputs, outputs };
        match plan.target.memory_budget {
            Some(budget) if plan.arena_bytes() > budget => Err(Error::OutOfMemory {
                needed: plan.arena_bytes(),
                available: budget,
                hint: "raise the memory budget, or use smaller tiles".to_owned(),
            }),
            _ => Ok(plan),
        }
    }
}

/// Steps, storages, inputs and outputs of a plan.
type Lowered = (Vec<Step>, Vec<Storage>, Vec<View>, Vec<View>);

struct Lowering<'a> {
    graph: &'a Graph,
    target: &'a Target,
    chains: Vec<Chain>,
    users: Vec<Vec<NodeId>>,
    live: Vec<bool>,
    /// Resizes that the convolution after them does in its loads.
    folded: HashMap<NodeId, Upsample>,
    /// Values that their chain writes straight into a concatenation, and concatenations that are
    /// part of another.
    part_of: Parts,
    /// Parts of concatenations that were copied there.
    copied: HashSet<View>,
    homes: HashMap<NodeId, View>,
    storages: Vec<Storage>,
    steps: Vec<Step>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, target: &'a Target) -> Self {
        let (users, live) = fuse::users(graph);
        let chains = fuse::chains(graph, &users, &live);
        let mut lowering = Self {
            graph,
            target,
            chains,
            users,
            live,
            folded: HashMap::new(),
            part_of: Parts::new(),
            copied: HashSet::new(),
            homes: HashMap::new(),
            storages: Vec::new(),
            steps: Vec::new(),
        };
        lowering.fold_upsamples();
        lowering.join_concats();
        lowering
    }

    fn run(mut self) -> Lowered {
        let inputs: Vec<View> = self.graph.inputs().iter().map(|&id| self.home(id)).collect();
        let chains = std::mem::take(&mut self.chains);
        let mut next = chains.iter().peekable();
        for index in 0..self.graph.nodes().len() {
            let id = NodeId(index as u32);
            if let Some(chain) = next.next_if(|c| c.last == id) {
                if !self.folded.contains_key(&id) {
                    self.emit(chain);
                }
            } else if self.live[index] && self.graph.node(id).op == Op::Concat {
                self.emit_copies(id);
            }
        }
        let outputs: Vec<View> = self.graph.outputs().iter().map(|&id| self.home(id)).collect();
        let last = self.steps.len().saturating_sub(1);
        for view in &outputs {
            self.storages[view.storage.index()].lifetime[1] = last;
        }
        for (index, step) in self.steps.iter().enumerate() {
            for view in step.reads().chain([step.output]).chain(step.scratch) {
                let [first, last] = &mut self.storages[view.storage.index()].lifetime;
                *first = (*first).min(index);
                *last = (*last).max(index);
            }
        }
        for view in &inputs {
            self.storages[view.storage.index()].lifetime[0] = 0;
        }
        for storage in &mut self.storages {
            // An input that nothing reads.
            storage.lifetime[0] = storage.lifetime[0].min(storage.lifetime[1]);
        }
        (self.steps, self.storages, inputs, outputs)
    }

    /// Finds ×2 resizes whose only user is a convolution that can do them while loading.
    fn fold_upsamples(&mut self) {
        for chain in &self.chains {
            let node = self.graph.node(chain.head);
            let Op::Resize { interpolation, step: [0.5, 0.5], .. } = node.op else { continue };
            let upsample = match interpolation {
                Interpolation::Nearest => Upsample::Nearest,
                Interpolation::Bilinear => Upsample::Bilinear,
                Interpolation::BilinearAlignCorners => continue,
            };
            let from = self.graph.shape(node.inputs[0]);
            let doubles = node.shape == from.with_size(2 * from.h, 2 * from.w);
            let [user] = self.users[chain.head.index()][..] else { continue };
            let output = self.graph.shape(user);
            let conv = match &self.graph.node(user).op {
                Op::Conv2d(conv) => *conv,
                Op::ModulatedConv2d { conv, transposed: false, .. } => *conv,
                _ => continue,
            };
            let main = self.graph.node(user).inputs[0] == chain.head;
            let plain = chain.epilogue.is_empty() && !self.graph.outputs().contains(&chain.head);
            let compute = Compute::Conv { conv, upsample, style: None };
            // A repeated pixel costs nothing to load again; four weighted ones pay only where each
            // is loaded about twice, not nine times.
            let kernel = select(&compute, from, output, self.target, self.graph.params());
            let cheap = upsample == Upsample::Nearest || kernel == Kernel::ConvWinograd;
            if doubles && main && plain && cheap {
                self.folded.insert(chain.head, upsample);
            }
        }
    }

    /// Decides which values are written straight into a concatenation.
    fn join_concats(&mut self) {
        let known = Known {
            graph: self.graph,
            target: self.target,
            chains: &self.chains,
            users: &self.users,
            live: &self.live,
            folded: &self.folded,
            dtype: |id| self.dtype(id),
        };
        self.part_of = known.join();
    }

    /// How the value of a node is stored: vectors stay f32 in an f16 plan, and so does what is
    /// marked as exact.
    fn dtype(&self, id: NodeId) -> Dtype {
        let node = self.graph.node(id);
        if self.target.dtype == Dtype::F32 || node.exact {
            return Dtype::F32;
        }
        match node.op {
            // f16 has no integers beyond 2048.
            Op::Linear(_) | Op::PixelNorm | Op::ArgMax => Dtype::F32,
            Op::AdaptiveAvgPool2d { .. } if node.shape.plane() == 1 => Dtype::F32,
            Op::Input => {
                let vector = self.users[id.index()].iter().any(|&u| {
                    matches!(
                        self.graph.node(u).op,
                        Op::Linear(_) | Op::PixelNorm | Op::Slice { .. } | Op::Concat
                    )
                });
                if vector && node.shape.plane() == 1 { Dtype::F32 } else { Dtype::F16 }
            }
            Op::Slice { .. } => self.dtype(node.inputs[0]),
            Op::Activation(_)
            | Op::Bias(_)
            | Op::Scale(_)
            | Op::Add
            | Op::Sft { .. }
            | Op::Noise { .. }
            | Op::ScaleChannels
            | Op::Concat
                if node.shape.plane() == 1 || !self.graph.node(node.inputs[0]).exact =>
            {
                self.dtype(node.inputs[0])
            }
            _ => Dtype::F16,
        }
    }

    fn allocate(&mut self, shape: Shape, dtype: Dtype) -> View {
        let storage = StorageId(self.storages.len() as u32);
        self.storages.push(Storage {
            len: shape.len(),
            dtype,
            lifetime: [usize::MAX, 0],
            block: 0,
            offset: 0,
        });
        View { storage, offset: 0, batch_stride: shape.sample(), shape }
    }

    /// Where the value of a node stands, or will.
    fn home(&mut self, id: NodeId) -> View {
        if let Some(&view) = self.homes.get(&id) {
            return view;
        }
        let node = self.graph.node(id);
        let part = |whole: View, channel: usize| View {
            offset: whole.offset + channel * node.shape.plane(),
            shape: node.shape,
            ..whole
        };
        let view = if let Op::Slice { start, .. } = node.op {
            part(self.home(node.inputs[0]), start)
        } else if let Some(&(concat, channel)) = self.part_of.get(&id) {
            part(self.home(concat), channel)
        } else {
            self.allocate(node.shape, self.dtype(id))
        };
        self.homes.insert(id, view);
        view
    }

    fn push(&mut self, name: &str, compute: Compute, input: Option<View>, output: View) -> usize {
        let from = input.map_or(output.shape, |x| x.shape);
        let kernel = select(&compute, from, output.shape, self.target, self.graph.params());
        self.steps.push(Step {
            name: name.to_owned(),
            compute,
            kernel,
            input,
            epilogue: Epilogue::default(),
            output,
            tile: None,
            scratch: None,
        });
        self.steps.len() - 1
    }

    /// The parts of a concatenation that nobody writes there.
    fn emit_copies(&mut self, concat: NodeId) {
        let whole = self.home(concat);
        let graph = self.graph;
        let mut channel = 0;
        for &input in &graph.node(concat).inputs {
            let shape = graph.shape(input);
            let to = View { offset: whole.offset + channel * shape.plane(), shape, ..whole };
            let from = self.home(input);
            if from != to && self.copied.insert(to) {
                self.push(&graph.node(concat).name, Compute::Pointwise, Some(from), to);
            }
            channel += shape.c;
        }
    }

    fn emit(&mut self, chain: &Chain) {
        let graph = self.graph;
        let head = graph.node(chain.head);
        let name = &head.name;
        let mut input = head.inputs.first().map(|&id| match self.folded.get(&id) {
            Some(_) => self.home(graph.node(id).inputs[0]),
            None => self.home(id),
        });
        let upsample =
            (head.inputs.first()).and_then(|id| self.folded.get(id).copied()).unwrap_or_default();
        let mut demodulation = None;
        let compute = match &head.op {
            Op::Conv2d(conv) => Compute::Conv { conv: *conv, upsample, style: None },
            Op::ModulatedConv2d { conv, demodulate, transposed } => {
                let style = self.home(head.inputs[1]);
                if *demodulate {
                    let factors = Shape::vector(head.shape.n, head.shape.c);
                    let factors = self.allocate(factors, Dtype::F32);
                    let compute = Compute::Demodulate(conv.weight);
                    self.push(&format!("{name}.demodulate"), compute, Some(style), factors);
                    demodulation = Some(factors);
                }
                if *transposed {
                    Compute::ConvTranspose { conv: *conv, style: Some(style) }
                } else {
                    Compute::Conv { conv: *conv, upsample, style: Some(style) }
                }
            }
            Op::MultiPathConv(paths) => Compute::MultiPathConv(paths.clone()),
            Op::Linear(weight) => Compute::Linear(*weight),
            Op::PixelNorm => Compute::PixelNorm,
            Op::GroupNorm { groups, epsilon, weight } => {
                Compute::GroupNorm { groups: *groups, epsilon: *epsilon, weight: *weight }
            }
            Op::LayerNorm { epsilon, weight } => {
                Compute::LayerNorm { epsilon: *epsilon, weight: *weight }
            }
            Op::AdaIn { epsilon } => {
                Compute::AdaIn { style: self.home(head.inputs[1]), epsilon: *epsilon }
            }
            Op::Attention { heads } => Compute::Attention {
                heads: *heads,
                key: self.home(head.inputs[1]),
                value: self.home(head.inputs[2]),
            },
            Op::ArgMax => Compute::ArgMax,
            Op::Embedding(table) => Compute::Embedding(*table),
            Op::Upfirdn2d { kernel, up, down, padding } => {
                Compute::Upfirdn2d { kernel: *kernel, up: *up, down: *down, padding: *padding }
            }
            Op::Resize { interpolation, step, .. } => {
                Compute::Resize { interpolation: *interpolation, step: *step }
            }
            Op::PixelShuffle(r) => Compute::PixelShuffle(*r),
            Op::PixelUnshuffle(r) => Compute::PixelUnshuffle(*r),
            Op::Constant { value, .. } => Compute::Constant(*value),
            Op::MaxPool2d { kernel, stride, padding } => {
                Compute::MaxPool2d { kernel: *kernel, stride: *stride, padding: *padding }
            }
            Op::AdaptiveAvgPool2d { .. } => Compute::AdaptiveAvgPool2d,
            Op::ReflectPad(padding) => Compute::ReflectPad(*padding),
            _ => Compute::Pointwise,
        };
        let exact = head.exact || head.inputs.first().is_some_and(|&x| graph.node(x).exact);
        if !exact {
            input = input.map(|x| self.converted(x, &compute, name));
        }
        let epilogue = self.epilogue(chain, demodulation);
        let output = self.home(chain.last);
        let step = self.push(name, compute, input, output);
        self.steps[step].epilogue = epilogue;
        let scratch = scratch_len(&self.steps[step], self.graph.params(), self.target);
        if scratch > 0 {
            let scratch = self.allocate(Shape::vector(1, scratch), Dtype::F32);
            self.steps[step].scratch = Some(scratch);
        }
    }

    /// Kernels on pictures read the plan's dtype: an f32 vector is converted first.
    fn converted(&mut self, x: View, compute: &Compute, name: &str) -> View {
        let mixed = matches!(
            compute,
            Compute::Linear(_)
                | Compute::Demodulate(_)
                | Compute::PixelNorm
                | Compute::Embedding(_)
                | Compute::Pointwise
                | Compute::Constant(_)
        );
        if mixed { x } else { self.stored_as(self.target.dtype, x, name) }
    }

    /// The value of `x` in storage of `dtype`.
    fn stored_as(&mut self, dtype: Dtype, x: View, name: &str) -> View {
        if self.storages[x.storage.index()].dtype == dtype {
            return x;
        }
        let to = self.allocate(x.shape, dtype);
        self.push(&format!("{name}.convert"), Compute::Pointwise, Some(x), to);
        to
    }

    fn epilogue(&mut self, chain: &Chain, demodulation: Option<View>) -> Epilogue {
        let mut epilogue = Epilogue { demodulation, ..Epilogue::default() };
        let mut taken = None;
        for &id in &chain.epilogue {
            let node = self.graph.node(id);
            taken = fuse::slot(&node.op, taken);
            match &node.op {
                Op::Scale(factor) => match taken {
                    Some(Slot::Gain) => epilogue.gain *= factor,
                    Some(Slot::ActivationGain) => epilogue.activation_gain *= factor,
                    _ => epilogue.output_gain *= factor,
                },
                Op::Noise { noise, strength } => epilogue.noise = Some((*noise, *strength)),
                Op::Bias(bias) => epilogue.bias = Some(*bias),
                Op::Activation(activation) => epilogue.activation = *activation,
                Op::Sft { first_channel } => {
                    epilogue.sft = Some(Sft {
                        scale: self.home(node.inputs[1]),
                        shift: self.home(node.inputs[2]),
                        first_channel: *first_channel,
                    });
                }
                Op::ScaleChannels => {
                    let factor = self.home(node.inputs[1]);
                    epilogue.demodulation = Some(self.stored_as(Dtype::F32, factor, &node.name));
                }
                Op::Add => {
                    let [a, b] = [node.inputs[0], node.inputs[1]];
                    let before = chain.before(id).unwrap_or(a);
                    epilogue.residual = Some(self.home(if a == before { b } else { a }));
                }
                _ => {}
            }
        }
        epilogue
    }
}

impl Plan {
    /// Bytes of all intermediates: what the arena takes.
    pub fn arena_bytes(&self) -> usize {
        self.blocks.iter().sum()
    }

    /// The most that is alive at any one step, in bytes: no arena can be smaller.
    pub fn peak_bytes(&self) -> usize {
        (0..self.steps.len().max(1))
            .map(|step| {
                (self.storages.iter())
                    .filter(|s| s.lifetime[0] <= step && step <= s.lifetime[1])
                    .map(Storage::bytes)
                    .sum()
            })
            .max()
            .unwrap_or(0)
    }

    /// Steps that a kernel executes.
    pub fn count(&self, kernel: Kernel) -> usize {
        self.steps.iter().filter(|s| s.kernel == kernel).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Conv2d, Param};

    #[test]
    fn exact_nodes_stay_in_f32() {
        let mut graph = Graph::new();
        graph.set_exact(true);
        let x = graph.add_input("x", Shape::new(1, 4, 5, 5));
        let convolved = |graph: &mut Graph, x| {
            let weight = Param::from_values("w", vec![4, 4, 1, 1], &[0.5; 16]);
            let weight = graph.add_param(weight);
            graph.add(Op::Conv2d(Conv2d::same(weight, 1)), &[x]).unwrap()
        };
        let exact = convolved(&mut graph, x);
        graph.set_exact(false);
        let rounded = convolved(&mut graph, exact);
        let both = graph.add(Op::Concat, &[exact, rounded]).unwrap();
        graph.set_output(both);
        graph.set_output(exact);
        let target = Target { dtype: Dtype::F16, ..Target::webgpu_defaults() };
        let plan = Plan::new(Arc::new(graph), target).unwrap();
        let dtype = |view: View| plan.storages[view.storage.index()].dtype;
        assert_eq!(dtype(plan.inputs[0]), Dtype::F32);
        assert_eq!(
            plan.outputs.iter().map(|&y| dtype(y)).collect::<Vec<_>>(),
            [Dtype::F16, Dtype::F32]
        );
        assert_eq!(plan.graph.params().iter().map(|p| p.exact).collect::<Vec<_>>(), [true, false]);
        // The second convolution reads f32 as it is; the first part of the whole is a rounded copy.
        let kernels: Vec<_> = plan.steps.iter().map(|step| step.compute.clone()).collect();
        assert!(matches!(
            kernels[..],
            [Compute::Conv { .. }, Compute::Conv { .. }, Compute::Pointwise]
        ));
    }
}
