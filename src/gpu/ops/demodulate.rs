//! Host side of `kernels/demodulate.wgsl`.

use super::linear::{WORKGROUP, samples};
use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ops::Demodulate;
use crate::plan::{Layout, Plan, Step, Weight};

/// Demodulation factors of a batch of styles.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Demodulate(param) = *step.op()?;
    let x = step.x()?;
    let y = step.output.shape;
    let mut launch = Builder::new(plan, "demodulate");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("SAMPLES", samples(false));
    launch.view("X", x);
    launch.uint("inputs", x.shape.sample());
    launch.weight(Weight { param, layout: Layout::TapSquares });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.c * y.n.div_ceil(samples(false)))])
}
