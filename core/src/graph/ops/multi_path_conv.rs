//! `multi_path_conv`: one stage of a mixed multi-path residual block.

use super::{Arity, Cost, Operation, Planning, check_groups, misfit, weight4};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// One stage of an MMRB: all paths read `x`, outputs are concatenated in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MultiPathConv(pub Vec<Path>);

/// One path: a stride-1 convolution that keeps the size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    /// `[C_p, channels/groups, k, k]`, `k` odd.
    pub weight: ParamId,
    /// First input channel that the path sees.
    pub first_channel: usize,
    /// Number of input channels that the path sees.
    pub channels: usize,
    /// Step between kernel taps.
    pub dilation: usize,
    /// Blocks of channels that do not see each other.
    pub groups: usize,
}

impl Operation for MultiPathConv {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let x = inputs[0];
        let mut outputs = 0;
        for path in &self.0 {
            let [o, _, kh, kw] = weight4(graph, path.weight)?;
            if kh != kw || kh % 2 == 0 || path.dilation == 0 {
                return Err(misfit(graph, path.weight, "[C, I, k, k] with odd k"));
            }
            let (first, end) = (path.first_channel, path.first_channel + path.channels);
            if end > x.c {
                return Err(format!("a path sees channels {first}..{end} of {}", x.c));
            }
            check_groups(graph, path.weight, path.channels, path.groups)?;
            outputs += o;
        }
        Ok(x.with_channels(outputs))
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        self.0.iter_mut().for_each(|path| visit(&mut path.weight));
    }

    fn multiply_adds(&self, graph: &Graph, _: &[Shape], output: Shape) -> usize {
        let weights: usize = self.0.iter().map(|path| graph.param(path.weight).len()).sum();
        output.n * output.plane() * weights
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Heavy)
    }
}
