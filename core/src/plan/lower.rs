//! Graph → steps: every chain of nodes becomes one step, every value gets a home.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::concat::{Known, Parts};
use super::fuse::{self, Chain, Slot};
use super::join::join_layers;
use super::place::place;
use super::scratch::scratch_len;
use super::select::{Context, folds, select};
use super::{
    Backend, Epilogue, Plan, Sft, Step, Storage, StorageId, Target, Upsample, Variant, View,
};
use crate::error::{Error, Result};
use crate::graph::ops::{
    self, Demodulate, ModulatedConv2d, Noise, Part, Planning, Pointwise, Resize, Role, Slice,
    Stored,
};
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
        let (steps, mut storages, inputs, outputs) = lowering.run()?;
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
        let mut plan = Plan { graph, target, steps, storages, blocks, inputs, outputs };
        plan.arrange();
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

    fn run(mut self) -> Result<Lowered> {
        let inputs: Vec<View> = self.graph.inputs().iter().map(|&id| self.home(id)).collect();
        let chains = std::mem::take(&mut self.chains);
        let mut next = chains.iter().peekable();
        for index in 0..self.graph.nodes().len() {
            let id = NodeId(index as u32);
            if let Some(chain) = next.next_if(|c| c.last == id) {
                if !self.folded.contains_key(&id) {
                    self.emit(chain)?;
                }
            } else if self.live[index] && matches!(self.graph.node(id).op, Op::Concat(_)) {
                self.emit_copies(id)?;
            }
        }
        let outputs: Vec<View> = self.graph.outputs().iter().map(|&id| self.home(id)).collect();
        if self.target.backend == Backend::Gpu {
            let kept: Vec<View> = inputs.iter().chain(&outputs).copied().collect();
            let Self { steps, storages, graph, target, .. } = &mut self;
            join_layers(steps, storages, &kept, graph, target)?;
        }
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
        Ok((self.steps, self.storages, inputs, outputs))
    }

    /// Finds ×2 resizes whose only user is a convolution that can do them while loading.
    fn fold_upsamples(&mut self) {
        for chain in &self.chains {
            let node = self.graph.node(chain.head);
            let Op::Resize(Resize { interpolation, step: [0.5, 0.5], .. }) = node.op else {
                continue;
            };
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
                Op::Conv2d(conv) | Op::ModulatedConv2d(ModulatedConv2d { conv, .. }) => conv,
                _ => continue,
            };
            let main = self.graph.node(user).inputs[0] == chain.head;
            let plain = chain.epilogue.is_empty() && !self.graph.outputs().contains(&chain.head);
            let cheap = || folds(conv, upsample, from, output, self.target, self.graph);
            if doubles && main && plain && cheap() {
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
        let input = || self.dtype(node.inputs[0]);
        let vector = node.shape.plane() == 1;
        match node.op.planning().stored {
            Stored::AsPlanned => Dtype::F16,
            Stored::AsF32 => Dtype::F32,
            Stored::AsF32IfVector if vector => Dtype::F32,
            Stored::AsReadersWork if vector && self.is_read_as_vector(id) => Dtype::F32,
            Stored::AsF32IfVector | Stored::AsReadersWork => Dtype::F16,
            Stored::AsInput => input(),
            Stored::LikeInput if vector || !self.graph.node(node.inputs[0]).exact => input(),
            Stored::LikeInput => Dtype::F16,
        }
    }

    /// Whether a reader of `id` works on vectors in f32, or is a part of them or a whole.
    fn is_read_as_vector(&self, id: NodeId) -> bool {
        self.users[id.index()].iter().any(|&user| {
            let Planning { role, stored, reads_f32, .. } = self.graph.node(user).op.planning();
            role == Role::View || reads_f32 && stored == Stored::AsF32
        })
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
        View { storage, offset: 0, batch_stride: shape.sample(), shape, blocked: false }
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
        let view = if let Op::Slice(Slice { start, .. }) = node.op {
            part(self.home(node.inputs[0]), start)
        } else if let Some(&(concat, channel)) = self.part_of.get(&id) {
            part(self.home(concat), channel)
        } else {
            self.allocate(node.shape, self.dtype(id))
        };
        self.homes.insert(id, view);
        view
    }

    /// Adds a step with its kernel.
    fn push(&mut self, mut step: Step) -> Result<&mut Step> {
        let Self { target, graph, storages, .. } = self;
        step.variant = select(&step, Context { target, graph, storages })?;
        let at = self.steps.len();
        self.steps.push(step);
        Ok(&mut self.steps[at])
    }

    /// Adds a copy.
    fn copy(&mut self, name: String, from: View, to: View) -> Result<()> {
        self.push(Step::new(name, Pointwise, Variant::Pointwise, vec![from], to)).map(|_| ())
    }

    /// The parts of a concatenation that nobody writes there.
    fn emit_copies(&mut self, concat: NodeId) -> Result<()> {
        let whole = self.home(concat);
        let graph = self.graph;
        let mut channel = 0;
        for &input in &graph.node(concat).inputs {
            let shape = graph.shape(input);
            let to = View { offset: whole.offset + channel * shape.plane(), shape, ..whole };
            let from = self.home(input);
            if from != to && self.copied.insert(to) {
                self.copy(graph.node(concat).name.clone(), from, to)?;
            }
            channel += shape.c;
        }
        Ok(())
    }

    fn emit(&mut self, chain: &Chain) -> Result<()> {
        let graph = self.graph;
        let head = graph.node(chain.head);
        let name = &head.name;
        // A part that follows no step is one of a step that only copies.
        let alone = fuse::part(&head.op).is_some();
        let op = if alone { Pointwise.into() } else { head.op.clone() };
        let read = if alone { &head.inputs[..1] } else { &head.inputs };
        let (mut operands, mut upsample) = (Vec::new(), Upsample::None);
        for id in read {
            operands.push(match self.folded.get(id) {
                Some(folded) => {
                    upsample = *folded;
                    self.home(graph.node(*id).inputs[0])
                }
                None => self.home(*id),
            });
        }
        let mut demodulation = None;
        if let Some(weight) = op.demodulated() {
            let factors = Shape::vector(head.shape.n, head.shape.c);
            let factors = self.allocate(factors, Dtype::F32);
            let (name, style) = (format!("{name}.demodulate"), vec![operands[1]]);
            self.push(Step::new(name, Demodulate(weight), Variant::Demodulate, style, factors))?;
            demodulation = Some(factors);
        }
        let exact = head.exact || head.inputs.first().is_some_and(|&x| graph.node(x).exact);
        if let Some(x) = operands.first_mut().filter(|_| !exact && !op.planning().reads_f32) {
            // Kernels on pictures read the plan's dtype: an f32 vector is converted first.
            *x = self.stored_as(self.target.dtype, *x, name)?;
        }
        let epilogue = self.epilogue(chain, demodulation)?;
        let output = self.home(chain.last);
        let step = Step::new(name, op, Variant::Pointwise, operands, output);
        let target = self.target;
        let step = self.push(Step { upsample, epilogue, ..step })?;
        let scratch = scratch_len(step, target);
        if scratch > 0 {
            let scratch = self.allocate(Shape::vector(1, scratch), Dtype::F32);
            if let Some(step) = self.steps.last_mut() {
                step.scratch = Some(scratch);
            }
        }
        Ok(())
    }

    /// The value of `x` in storage of `dtype`.
    fn stored_as(&mut self, dtype: Dtype, x: View, name: &str) -> Result<View> {
        if self.storages[x.storage.index()].dtype == dtype {
            return Ok(x);
        }
        let to = self.allocate(x.shape, dtype);
        self.copy(format!("{name}.convert"), x, to)?;
        Ok(to)
    }

    fn epilogue(&mut self, chain: &Chain, demodulation: Option<View>) -> Result<Epilogue> {
        let mut epilogue = Epilogue { demodulation, ..Epilogue::default() };
        let mut taken = None;
        for &id in &chain.epilogue {
            let node = self.graph.node(id);
            let Some(part) = fuse::part(&node.op) else { continue };
            taken = fuse::slot(part, taken);
            match part {
                Part::Gain(factor) => match taken {
                    Some(Slot::Gain) => epilogue.gain *= factor,
                    Some(Slot::ActivationGain) => epilogue.activation_gain *= factor,
                    _ => epilogue.output_gain *= factor,
                },
                Part::Noise(Noise { noise, strength }) => epilogue.noise = Some((noise, strength)),
                Part::Bias(bias) => epilogue.bias = Some(bias),
                Part::Activation(activation) => epilogue.activation = activation,
                Part::Sft(ops::Sft { first_channel }) => {
                    epilogue.sft = Some(Sft {
                        scale: self.home(node.inputs[1]),
                        shift: self.home(node.inputs[2]),
                        first_channel,
                    });
                }
                Part::ChannelScale => {
                    let factor = self.home(node.inputs[1]);
                    epilogue.demodulation = Some(self.stored_as(Dtype::F32, factor, &node.name)?);
                }
                Part::Residual => {
                    let [a, b] = [node.inputs[0], node.inputs[1]];
                    let before = chain.before(id).unwrap_or(a);
                    epilogue.residual = Some(self.home(if a == before { b } else { a }));
                }
            }
        }
        Ok(epilogue)
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

    /// Steps that the kernel of a name executes.
    pub fn count(&self, kernel: &str) -> usize {
        self.steps.iter().filter(|step| step.variant.name() == kernel).count()
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
            graph.add(Conv2d::same(weight, 1), &[x]).unwrap()
        };
        let exact = convolved(&mut graph, x);
        graph.set_exact(false);
        let rounded = convolved(&mut graph, exact);
        let both = graph.add(ops::Concat, &[exact, rounded]).unwrap();
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
        let ops: Vec<_> = plan.steps.iter().map(|step| step.op.clone()).collect();
        assert!(matches!(ops[..], [Op::Conv2d(_), Op::Conv2d(_), Op::Pointwise(_)]));
    }
}
