//! Which values lie by blocks of eight channels, so that a kernel reads and writes those of a pixel at
//! once.
//!
//! All views of a storage lie in the same way. It is that of planes where one of them does not begin and
//! end with whole blocks, where a step touches it that knows planes alone, and where the caller does.

use super::{BLOCK, Epilogue, Plan, Sft, Step, View};
use crate::graph::ops::{ModulatedConv2d, ModulatedConvTranspose2d};
use crate::graph::{Conv2d, Graph, Op};
use crate::tensor::Dtype;

impl Plan {
    /// Lays values out by blocks, where the target wants that and it can be done: not the inputs and
    /// the outputs, which the caller knows as planes.
    pub(super) fn arrange(&mut self) {
        let kept: Vec<View> = self.inputs.iter().chain(&self.outputs).copied().collect();
        self.arrange_all_but(&kept);
    }

    /// As a plan is made, but for the storages of `kept`: a single step can be tried on inputs and
    /// outputs that lie as within a plan.
    pub fn arrange_all_but(&mut self, kept: &[View]) {
        if !self.target.blocks {
            return;
        }
        let mut blocked: Vec<bool> =
            self.storages.iter().map(|storage| storage.dtype == Dtype::F16).collect();
        for view in kept {
            blocked[view.storage.index()] = false;
        }
        for step in &self.steps {
            let able = able(step, &self.graph);
            for view in step.reads().chain([step.output]) {
                blocked[view.storage.index()] &= able.contains(&view) && has_whole_blocks(&view);
            }
        }
        // What one launch adds up lies in one way; each turn takes a storage from the blocks.
        let mut settled = false;
        while !settled {
            settled = true;
            for step in &self.steps {
                let together = together(step);
                let all = together.iter().all(|view| blocked[view.storage.index()]);
                for view in together.iter().filter(|_| !all) {
                    settled &= !blocked[view.storage.index()];
                    blocked[view.storage.index()] = false;
                }
            }
        }
        let views = self.steps.iter_mut().flat_map(Step::views_mut);
        for view in views.chain(&mut self.inputs).chain(&mut self.outputs) {
            view.blocked = blocked[view.storage.index()];
        }
    }
}

/// Whether a view is made of whole blocks of every sample of its storage.
fn has_whole_blocks(view: &View) -> bool {
    let block = BLOCK * view.shape.plane();
    view.shape.c.is_multiple_of(BLOCK)
        && view.offset.is_multiple_of(block)
        && view.batch_stride.is_multiple_of(block)
}

/// The views of `step` that its kernels can read and write by blocks, whichever is chosen.
fn able(step: &Step, graph: &Graph) -> Vec<View> {
    let Epilogue { demodulation, noise, sft, .. } = &step.epilogue;
    let main = step.operands.first().copied();
    let [reads, mut writes] = match &step.op {
        Op::Conv2d(conv)
        | Op::ModulatedConv2d(ModulatedConv2d { conv, .. })
        | Op::ModulatedConvTranspose2d(ModulatedConvTranspose2d { conv, .. }) => {
            [whole_groups(conv, graph); 2]
        }
        Op::MultiPathConv(paths) => {
            let whole = |channels: usize, groups: usize| (channels / groups).is_multiple_of(BLOCK);
            let all = paths.0.iter().all(|path| {
                path.first_channel.is_multiple_of(BLOCK)
                    && whole(path.channels, path.groups)
                    && whole(graph.param(path.weight).dims[0], path.groups)
            });
            [all; 2]
        }
        Op::Pointwise(_) => [main.is_some_and(|x| x.shape == step.output.shape); 2],
        Op::Resize(_) | Op::Upfirdn2d(_) | Op::PixelShuffle(_) => [true; 2],
        Op::Constant(_) => [false, true],
        _ => [false; 2],
    };
    // Kernels read noise and factors by words of four.
    writes &= noise.is_none() || step.output.shape.plane().is_multiple_of(4);
    writes &= demodulation
        .is_none_or(|view| view.offset.is_multiple_of(4) && view.batch_stride.is_multiple_of(4));
    writes &= sft.as_ref().is_none_or(|sft| sft.first_channel.is_multiple_of(BLOCK));
    let written = added(step).chain([step.output]).filter(|_| writes);
    main.filter(|_| reads).into_iter().chain(written).collect()
}

/// What the epilogue adds to the output and multiplies it with, pixel by pixel.
fn added(step: &Step) -> impl Iterator<Item = View> + '_ {
    let Epilogue { sft, residual, .. } = &step.epilogue;
    let sft = sft.iter().flat_map(|Sft { scale, shift, .. }| [*scale, *shift]);
    sft.chain(*residual)
}

/// The views of `step` that lie in one way.
fn together(step: &Step) -> Vec<View> {
    let same = matches!(step.op, Op::Pointwise(_) | Op::Resize(_) | Op::Upfirdn2d(_));
    let x = step.operands.first().copied().filter(|_| same);
    added(step).chain([step.output]).chain(x).collect()
}

/// Whether each group of a convolution reads and writes whole blocks.
fn whole_groups(conv: &Conv2d, graph: &Graph) -> bool {
    let dims = &graph.param(conv.weight).dims;
    conv.groups == 1
        || (dims[0] / conv.groups).is_multiple_of(BLOCK) && dims[1].is_multiple_of(BLOCK)
}
