//! Shape inference: what a node yields, or why it cannot.

use super::ops::Arity;
use super::{Graph, NodeId, Op};
use crate::tensor::Shape;

/// A node whose inputs or parameters do not fit together.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{node}: {what}")]
pub struct ShapeError {
    /// The node.
    pub node: String,
    /// A sentence about the misfit.
    pub what: String,
}

/// The largest number of elements that a tensor may have (offsets in kernels are 32 bits wide).
const MAX_ELEMENTS: usize = 1 << 31;

pub(super) fn infer(graph: &Graph, op: &Op, inputs: &[NodeId]) -> Result<Shape, String> {
    let arity = match op.arity() {
        Arity::Exactly(arity) => arity,
        Arity::Any => inputs.len().max(1),
    };
    if inputs.len() != arity {
        return Err(format!("takes {arity} inputs, got {}", inputs.len()));
    }
    let shapes: Vec<Shape> = inputs.iter().map(|&id| graph.shape(id)).collect();
    let shape = op.infer(graph, &shapes)?;
    let elements = [shape.n, shape.c, shape.h, shape.w]
        .iter()
        .try_fold(1usize, |a, &d| a.checked_mul(d))
        .filter(|&n| n < MAX_ELEMENTS);
    match elements {
        None => Err(format!("{shape} is too large")),
        Some(0) => Err(format!("{shape} is empty")),
        Some(_) => Ok(shape),
    }
}
