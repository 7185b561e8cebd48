//! `reflect_pad`: mirrored borders.

use super::{Arity, Cost, Operation, Padding, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// `y[h,w] = x[mirror(h - top), mirror(w - left)]`, the edge not repeated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReflectPad(pub Padding);

impl Operation for ReflectPad {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let Padding { top, bottom, left, right } = self.0;
        let size = |n: usize, before: i32, after: i32| {
            let [before, after] = [before, after].map(|p| usize::try_from(p).ok());
            (before.zip(after))
                .filter(|&(before, after)| before < n && after < n)
                .map(|(before, after)| before + n + after)
                .ok_or_else(|| format!("cannot mirror borders of that size in {n} samples"))
        };
        Ok(inputs[0].with_size(size(inputs[0].h, top, bottom)?, size(inputs[0].w, left, right)?))
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
