//! Host side of `kernels/demodulate.wgsl`.

use super::linear::{SAMPLES, WORKGROUP};
use super::{Builder, input, misfit};
use crate::Result;
use crate::gpu::{Dispatch, epilogue};
use crate::plan::{Compute, Layout, Plan, Step, Weight};

/// Demodulation factors of a batch of styles.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let Compute::Demodulate(param) = step.compute else {
        return Err(misfit(step, "demodulate computes demodulation factors"));
    };
    let x = input(step)?;
    let y = step.output.shape;
    let mut launch = Builder::new(plan, "demodulate");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("SAMPLES", SAMPLES);
    launch.view("X", x);
    launch.uint("inputs", x.shape.sample());
    launch.weight(Weight { param, layout: Layout::TapSquares });
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.c * y.n.div_ceil(SAMPLES))])
}
