//! `linears`: linear layers of the same vectors, side by side.

use super::epilogue::Epilogue;
use super::kernel::Ready;
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Linears;
use crate::plan::{Layout, Step, pack};

/// A row of a layer's weight: what yields one value.
struct Row {
    first: usize,
    weights: Vec<f32>,
    bias: f32,
}

/// Makes `step`, or its twin, ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let op: &Linears = step.op()?;
    let demodulate = op.demodulate;
    let layout = Layout::of_layers(demodulate);
    let mut rows = Vec::new();
    for layer in &op.layers {
        let [_, inputs] = op.sizes(graph, layer).map_err(|error| step.misfit(&error))?;
        let weights = pack(graph.param(layer.weight), layout);
        let biases = layer.bias.map(|bias| graph.param(bias).to_f32());
        for (o, weights) in weights.chunks(inputs).enumerate() {
            let bias = biases.as_ref().map_or(0.0, |biases| biases[o]);
            rows.push(Row { first: layer.first, weights: weights.to_vec(), bias });
        }
    }
    let memory = rows.iter().map(|row| size_of_val(&row.weights[..])).sum();
    Ok(Ready::new(memory, move |io| run(&rows, demodulate, io.x(), io.epilogue, io.output)))
}

/// The formula of [`Linears`]; sums in f64.
fn run(rows: &[Row], demodulate: bool, x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    output.fill_planes(|n, o, y| {
        let Row { first, weights, bias } = &rows[o];
        let products = weights.iter().zip(&x.samples[n][*first..]).map(|(&w, &x)| {
            let (w, x) = (f64::from(w), f64::from(x));
            if demodulate { w * x * x } else { w * x }
        });
        let sum: f64 = products.sum();
        y[0] = if demodulate { (sum + 1e-8).sqrt().recip() as f32 } else { sum as f32 + bias };
        epilogue.apply(n, o, 0, y);
    });
}
