//! `input`: an input of the graph.

use super::{Arity, Operation, Planning, Stored};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// An input of the graph; [`Graph::add_input`] adds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Input;

impl Operation for Input {
    const ARITY: Arity = Arity::Exactly(0);

    fn infer(&self, _: &Graph, _: &[Shape]) -> Result<Shape, String> {
        Err("inputs are added by name".to_owned())
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::view(Stored::AsReadersWork)
    }
}
