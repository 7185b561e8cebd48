//! One step of a plan as a plan of its own, for benchmarks and for whoever asks what a step yields.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::place::place;
use super::scratch::scratch_len;
use super::select::select;
use super::{Plan, Sft, Step, Storage, StorageId, Target, View};
use crate::error::Result;
use crate::graph::ops::{Linear, ModulatedConv2d, ModulatedConvTranspose2d};
use crate::graph::{Activation, Op, ParamId};
use crate::tensor::{Dtype, Shape};

impl Plan {
    /// Step `index` alone, `copies` times on storages and parameters of their own: its inputs are
    /// what the step reads, copy by copy, in the order of [`Step::reads`](super::Step::reads) without
    /// repetitions; its outputs are what the copies write.
    #[must_use]
    pub fn isolated(&self, index: usize, copies: usize) -> Plan {
        let original = &self.steps[index];
        let mut graph = (*self.graph).clone();
        let (mut storages, mut steps) = (Vec::new(), Vec::new());
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for _ in 0..copies {
            let mut step = original.clone();
            let mut homes: BTreeMap<StorageId, StorageId> = BTreeMap::new();
            for view in step.views_mut() {
                view.storage = *homes.entry(view.storage).or_insert_with(|| {
                    storages.push(self.storages[view.storage.index()].clone());
                    StorageId(storages.len() as u32 - 1)
                });
            }
            let mut params: BTreeMap<ParamId, ParamId> = BTreeMap::new();
            step.visit_params(&mut |id| {
                let exact = graph.param(*id).exact;
                *id = *params.entry(*id).or_insert_with(|| {
                    graph.set_exact(exact);
                    graph.add_param(graph.param(*id).clone())
                });
            });
            let first = inputs.len();
            for view in step.reads() {
                if !inputs[first..].contains(&view) {
                    inputs.push(view);
                }
            }
            outputs.push(step.output);
            steps.push(step);
        }
        let mut plan = Plan {
            graph: Arc::new(graph),
            target: self.target.clone(),
            steps,
            storages,
            blocks: Vec::new(),
            inputs,
            outputs,
        };
        plan.place_all();
        plan
    }

    /// This plan for the CPU executor, whatever device it was made for.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn for_cpu(&self) -> Result<Plan> {
        let mut plan = Plan { target: Target::cpu(), ..self.clone() };
        for storage in &mut plan.storages {
            storage.dtype = Dtype::F32;
        }
        let views = plan.steps.iter_mut().flat_map(Step::views_mut);
        for view in views.chain(&mut plan.inputs).chain(&mut plan.outputs) {
            view.blocked = false;
        }
        for index in 0..plan.steps.len() {
            let variant = select(&plan.steps[index], plan.context())?;
            plan.steps[index].variant = variant;
            plan.steps[index].scratch = None;
        }
        plan.place_all();
        Ok(plan)
    }

    /// Step `index` computes only `channels` of its output, those of the others stay as they are.
    /// `None` for steps whose channels depend on each other, or are not worth it.
    #[must_use]
    pub fn restricted(&self, index: usize, channels: Range<usize>) -> Option<Plan> {
        let mut plan = self.clone();
        let step = &mut plan.steps[index];
        let graph = Arc::make_mut(&mut plan.graph);
        let mut rows = |id: ParamId| {
            let rows = graph.param(id).rows(channels.clone())?;
            graph.set_exact(rows.exact);
            Some(graph.add_param(rows))
        };
        let weight = match &mut step.op {
            Op::Conv2d(conv)
            | Op::ModulatedConv2d(ModulatedConv2d { conv, .. })
            | Op::ModulatedConvTranspose2d(ModulatedConvTranspose2d { conv, .. })
                if conv.groups == 1 =>
            {
                &mut conv.weight
            }
            Op::Linear(Linear(weight)) => weight,
            _ => return None,
        };
        *weight = rows(*weight)?;
        let epilogue = &mut step.epilogue;
        if let Some(bias) = &mut epilogue.bias {
            *bias = rows(*bias)?;
        }
        if let Activation::Prelu(slopes) = &mut epilogue.activation {
            *slopes = rows(*slopes)?;
        }
        let whole = step.output.shape;
        let narrow = |view: &mut View, first: usize| {
            let Shape { h, w, .. } = view.shape;
            view.offset += first * h * w;
            view.shape.c = channels.len();
        };
        narrow(&mut step.output, channels.start);
        for view in [&mut epilogue.demodulation, &mut epilogue.residual].into_iter().flatten() {
            narrow(view, channels.start);
        }
        if let Some(Sft { scale, shift, first_channel }) = &mut epilogue.sft {
            if channels.end <= *first_channel {
                epilogue.sft = None;
            } else {
                let first = channels.start.checked_sub(*first_channel)?;
                *first_channel = 0;
                narrow(scale, first);
                narrow(shift, first);
            }
        }
        debug_assert!(channels.end <= whole.c);
        Some(plan)
    }

    /// Gives every storage a place of its own, and steps the working memory that they need.
    fn place_all(&mut self) {
        for step in &mut self.steps {
            let len = scratch_len(step, &self.target);
            step.scratch = (len > 0).then(|| {
                let storage = StorageId(self.storages.len() as u32);
                let lifetime = [0, 0];
                let dtype = Dtype::F32;
                self.storages.push(Storage { len, dtype, lifetime, block: 0, offset: 0 });
                let shape = Shape::vector(1, len);
                View { storage, offset: 0, batch_stride: len, shape, blocked: false }
            });
        }
        let last = self.steps.len().saturating_sub(1);
        for storage in &mut self.storages {
            storage.lifetime = [0, last];
        }
        self.blocks = place(&mut self.storages, self.target.alignment, self.target.max_buffer);
    }
}
