//! Host side of `kernels/layer_norm.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Normalised pixels.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::LayerNorm { epsilon, weight } = step.compute else {
        return Err(misfit(step, "layer_norm normalises pixels"));
    };
    let x = input(step)?;
    let mut launch = Builder::new(plan, "layer_norm");
    launch.view("X", x);
    launch.float("epsilon", epsilon);
    launch.values(vec![weight]);
    epilogue::bind(&mut launch, step);
    let workgroups = launch.pixel_columns(x.shape);
    Ok(vec![launch.finish(workgroups)])
}
