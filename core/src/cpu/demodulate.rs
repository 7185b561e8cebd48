//! `demodulate`: the factors that give a modulated convolution's outputs unit variance.

use super::epilogue::Epilogue;
use super::kernel::{Quality, Ready};
use super::tensor::{Tensor, TensorMut};
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Demodulate;
use crate::plan::{Layout, Step, pack};

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph, _: Quality) -> Result<Ready> {
    let Demodulate(weight) = *step.op()?;
    let squares = pack(graph.param(weight), Layout::TapSquares);
    Ok(Ready::new(size_of_val(&squares[..]), move |io| {
        run(&squares, io.x(), io.epilogue, io.output)
    }))
}

/// `y[n,o] = rsqrt(Σ_i S[o,i] · x[n,i]² + 1e-8)` with `S[o,i] = Σ_{u,v} W[o,i,u,v]²`, the layout
/// [`TapSquares`](crate::plan::Layout::TapSquares).
pub fn run(tap_squares: &[f32], x: &Tensor, epilogue: &Epilogue, output: &mut TensorMut) {
    let depth = x.shape.c;
    output.fill_planes(|n, o, y| {
        let squares = &tap_squares[o * depth..][..depth];
        let sum: f64 = (squares.iter().zip(x.samples[n]))
            .map(|(&square, &style)| f64::from(square) * f64::from(style).powi(2))
            .sum();
        y[0] = (sum + 1e-8).sqrt().recip() as f32;
        epilogue.apply(n, o, 0, y);
    });
}
