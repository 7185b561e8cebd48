//! Host side of `kernels/attention.wgsl`.

use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Plan, Step};

/// Queries, and channels, of a workgroup.
const SIDE: usize = 64;

/// Softmax attention.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Attention { heads, key, value } = step.compute else {
        return Err(misfit(step, "attention computes weighted sums of values"));
    };
    let query = input(step)?;
    let (queries, width) = (query.shape.plane(), query.shape.c / heads);
    let mut launch = Builder::new(plan, "attention");
    launch.view("QUERY", query);
    launch.view("KEY", key);
    launch.view("VALUE", value);
    launch.uint(heads);
    launch.uint(width);
    launch.uint(queries);
    launch.uint(key.shape.plane());
    launch.float((width as f32).sqrt().recip());
    epilogue::bind(&mut launch, step);
    let blocks = queries.div_ceil(SIDE) * width.div_ceil(SIDE);
    Ok(vec![launch.finish(query.shape.n * heads * blocks)])
}
