//! Host side of `kernels/embedding.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Layout, Plan, Step, Weight};

/// Invocations per workgroup.
const WORKGROUP: usize = 64;

/// Rows of a table.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Embedding(param) = step.compute else {
        return Err(misfit(step, "embedding reads rows of a table"));
    };
    let x = input(step)?;
    let y = step.output.shape;
    let mut launch = Builder::new(plan, "embedding");
    launch.define("WORKGROUP", WORKGROUP);
    launch.view("X", x);
    launch.uint("rows", plan.graph.param(param).dims[0]);
    launch.weight(Weight { param, layout: Layout::Plain });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.len().div_ceil(WORKGROUP))])
}
