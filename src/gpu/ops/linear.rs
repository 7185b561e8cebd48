//! Host side of `kernels/linear.wgsl`.

use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Linear;
use crate::plan::{Layout, LinearForm, Plan, Step, Variant, Weight};

/// Invocations per workgroup, a power of two.
pub(super) const WORKGROUP: usize = 64;

/// Samples per workgroup. Where words are whole one, so that a batch adds as each of its samples alone.
pub(super) const fn samples(by_words: bool) -> usize {
    if by_words { 1 } else { 4 }
}

/// A matrix times the vectors of a batch.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Linear(param) = *step.op()?;
    let x = step.x()?;
    let y = step.output.shape;
    let mut launch = Builder::new(plan, "linear");
    launch.define("WORKGROUP", WORKGROUP);
    let alone = step.variant == Variant::Linear(LinearForm::Words);
    launch.define("SAMPLES", samples(alone));
    launch.flag("ALONE", alone);
    launch.view("X", x);
    launch.uint("inputs", x.shape.sample());
    launch.weight(Weight { param, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.c * y.n.div_ceil(samples(alone)))])
}
