//! The memory of a plan's intermediates, and how a step borrows its part of it.

use std::ops::Range;

use super::epilogue::Tensors;
use super::pages::Pages;
use super::tensor::{Tensor, TensorMut};
use crate::error::{Error, Result};
use crate::plan::{Plan, Step, View};
use crate::tensor::Dtype;

/// One array per block of the arena.
pub struct Arena {
    blocks: Vec<Pages>,
}

/// The buffers that a step reads and writes.
pub struct Operands<'a> {
    /// The operation's, in order.
    pub operands: Vec<Tensor<'a>>,
    /// The epilogue's.
    pub epilogue: Tensors<'a>,
    /// The result.
    pub output: TensorMut<'a>,
}

impl Arena {
    /// Memory for the intermediates of `plan`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when it cannot be allocated, [`Error::Internal`] when the plan was
    /// made for another executor.
    pub fn new(plan: &Plan) -> Result<Self> {
        if plan.storages.iter().any(|storage| storage.dtype != Dtype::F32) {
            return Err(Error::Internal("the CPU executes f32 plans".to_owned()));
        }
        let needed = plan.blocks.iter().sum();
        let mut blocks = Vec::with_capacity(plan.blocks.len());
        for bytes in &plan.blocks {
            let len = bytes.div_ceil(size_of::<f32>());
            blocks.push(Pages::new(len).ok_or_else(|| Error::OutOfMemory {
                needed,
                available: 0,
                hint: "the system refused; process a smaller picture".to_owned(),
            })?);
        }
        Ok(Self { blocks })
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        self.blocks.iter().map(|block| size_of_val(&block[..])).sum()
    }

    /// The tensor at `view`.
    pub fn read(&self, plan: &Plan, view: View) -> Result<Tensor<'_>> {
        let block = self.block(plan, view)?;
        gather(view, sample_ranges(plan, view)?, |range| self.blocks[block].get(range))
    }

    /// The tensor at `view`, to be written.
    pub fn write(&mut self, plan: &Plan, view: View) -> Result<TensorMut<'_>> {
        let block = self.block(plan, view)?;
        let (output, _) = split(&mut self.blocks[block], view, sample_ranges(plan, view)?)?;
        Ok(output)
    }

    /// The buffers that `step` reads, and apart from them those that it writes.
    pub fn operands(&mut self, plan: &Plan, step: &Step) -> Result<Operands<'_>> {
        let own = self.block(plan, step.output)?;
        let (before, rest) = self.blocks.split_at_mut(own);
        let Some((block, after)) = rest.split_first_mut() else {
            return Err(violation(step.output));
        };
        let (output, gaps) = split(block, step.output, sample_ranges(plan, step.output)?)?;
        let (before, after): (&[Pages], &[Pages]) = (before, after);
        let read = |view: View| {
            let block =
                plan.storages.get(view.storage.index()).ok_or_else(|| violation(view))?.block;
            gather(view, sample_ranges(plan, view)?, |range| match block {
                _ if block < own => before[block].get(range),
                _ if block > own => after.get(block - own - 1)?.get(range),
                _ => gaps.iter().find_map(|(start, gap)| {
                    gap.get(range.start.checked_sub(*start)?..range.end.checked_sub(*start)?)
                }),
            })
        };
        let sft = step.epilogue.sft.map(|sft| Ok::<_, Error>([read(sft.scale)?, read(sft.shift)?]));
        Ok(Operands {
            operands: step.operands.iter().copied().map(read).collect::<Result<_>>()?,
            epilogue: Tensors {
                demodulation: step.epilogue.demodulation.map(read).transpose()?,
                sft: sft.transpose()?,
                residual: step.epilogue.residual.map(read).transpose()?,
            },
            output,
        })
    }

    fn block(&self, plan: &Plan, view: View) -> Result<usize> {
        let storage = plan.storages.get(view.storage.index()).ok_or_else(|| violation(view))?;
        if storage.block < self.blocks.len() { Ok(storage.block) } else { Err(violation(view)) }
    }
}

/// Where the samples of `view` stand in their block, in elements.
fn sample_ranges(plan: &Plan, view: View) -> Result<Vec<Range<usize>>> {
    let storage = plan.storages.get(view.storage.index()).ok_or_else(|| violation(view))?;
    if view.shape.is_empty() || view.offset + view.span() > storage.len {
        return Err(violation(view));
    }
    let first = storage.offset / size_of::<f32>() + view.offset;
    let start = |n| first + n * view.batch_stride;
    Ok((0..view.shape.n).map(|n| start(n)..start(n) + view.shape.sample()).collect())
}

fn gather<'a>(
    view: View,
    ranges: Vec<Range<usize>>,
    slice: impl Fn(Range<usize>) -> Option<&'a [f32]>,
) -> Result<Tensor<'a>> {
    let samples =
        ranges.into_iter().map(slice).collect::<Option<_>>().ok_or_else(|| violation(view))?;
    Ok(Tensor { shape: view.shape, samples })
}

/// Parts of a block, each with its position.
type Gaps<'a> = Vec<(usize, &'a [f32])>;

/// The samples of `view` in `block`, and what stands between them with its position.
fn split(
    block: &mut [f32],
    view: View,
    samples: Vec<Range<usize>>,
) -> Result<(TensorMut<'_>, Gaps<'_>)> {
    let mut output = Vec::with_capacity(samples.len());
    let mut gaps = Vec::with_capacity(samples.len() + 1);
    let (mut position, mut rest) = (0, block);
    for range in samples {
        let skip = range.start.checked_sub(position).ok_or_else(|| violation(view))?;
        if skip + range.len() > rest.len() {
            return Err(violation(view));
        }
        let (gap, tail) = rest.split_at_mut(skip);
        let (sample, tail) = tail.split_at_mut(range.len());
        gaps.push((position, &*gap));
        output.push(sample);
        (position, rest) = (range.end, tail);
    }
    gaps.push((position, rest));
    Ok((TensorMut { shape: view.shape, samples: output }, gaps))
}

fn violation(view: View) -> Error {
    Error::Internal(format!("the plan places {view:?} over what its step writes, or outside"))
}
