//! Host side of `kernels/linears.wgsl`.

use super::linear::{WORKGROUP, samples};
use super::shared::epilogue;
use crate::Result;
use crate::gpu::Dispatch;
use crate::gpu::builder::Builder;
use crate::graph::ParamId;
use crate::graph::ops::Linears;
use crate::plan::{Layout, LinearForm, Plan, Step, Variant, Weight, packed_len};

/// All layers in one launch.
pub fn record(step: &Step, plan: &Plan) -> Result<Vec<Dispatch>> {
    let op: &Linears = step.op()?;
    let (x, y) = (step.x()?, step.output.shape);
    let layout = Layout::of_layers(op.demodulate);
    let weights: Vec<_> =
        op.layers.iter().map(|layer| Weight { param: layer.weight, layout }).collect();
    // First input, inputs, first output, first weight.
    let mut rows: Vec<[usize; 4]> = Vec::new();
    let (mut first_output, mut first_weight) = (0, 0);
    for (layer, weight) in op.layers.iter().zip(&weights) {
        let [outputs, inputs] =
            op.sizes(&plan.graph, layer).map_err(|error| step.misfit(&error))?;
        rows.push([layer.first, inputs, first_output, first_weight]);
        first_output += outputs;
        // Each is padded to whole words of four bytes.
        let len = packed_len(plan.graph.param(weight.param), layout);
        first_weight += len.next_multiple_of(4 / plan.weight_dtype(*weight).size());
    }
    let alone = step.variant == Variant::Linears(LinearForm::Words);

    let mut launch = Builder::new(plan, "linears");
    launch.define("WORKGROUP", WORKGROUP);
    launch.define("SAMPLES", samples(alone));
    launch.flag("ALONE", alone);
    launch.flag("DEMODULATE", op.demodulate);
    launch.define("LAYERS", rows.len());
    for (column, name) in
        ["FIRST_INPUT", "INPUTS", "FIRST_OUTPUT", "FIRST_WEIGHT"].into_iter().enumerate()
    {
        let values: Vec<_> = rows.iter().map(|row| format!("{}u", row[column])).collect();
        launch.define(name, values.join(", "));
    }
    launch.view("X", x);
    launch.weights(weights);
    let biases: Vec<ParamId> = op.layers.iter().filter_map(|layer| layer.bias).collect();
    if !biases.is_empty() {
        launch.flag("BIASES", true);
        launch.values(biases);
    }
    epilogue::bind(&mut launch, step);
    Ok(vec![launch.finish(y.c * y.n.div_ceil(samples(alone)))])
}
