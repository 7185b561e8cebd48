//! Host side of `kernels/linear.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Layout, Plan, Step, Weight};

/// Invocations per workgroup, a power of two.
pub(super) const WORKGROUP: usize = 64;
/// Samples per workgroup.
pub(super) const SAMPLES: usize = 4;

/// A matrix times the vectors of a batch.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Linear(param) = step.compute else {
        return Err(misfit(step, "linear computes matrix products"));
    };
    let x = input(step)?;
    let y = step.output.shape;
    let mut launch = Builder::new(plan, "linear");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("SAMPLES", SAMPLES);
    let words = [x.shape.sample(), x.offset].iter().all(|n| n.is_multiple_of(4));
    launch.flag("ALONE", y.n == 1 && words);
    launch.view("X", x);
    launch.uint("inputs", x.shape.sample());
    launch.weight(Weight { param, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.c * y.n.div_ceil(SAMPLES))])
}
