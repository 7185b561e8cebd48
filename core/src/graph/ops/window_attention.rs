//! `window_attention`: softmax attention of the pixels of a window, with a bias per distance.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// Channels of a head at most: what an invocation keeps of them, and workgroup memory holds.
const MAX_WIDTH: usize = 256;

/// Attention of pixels within windows (Liu et al. 2021, *Swin Transformer*); inputs `q`, `k`, `v`,
/// channels `c` of head `a` = `c / D` with `D = C/heads`:
/// `y[n,c,t] = Σ_s softmax_s(Σ_j q[n,a·D+j,t] · k[n,a·D+j,s] / √D + B[a, t - s + window + margin - 1]) · v[n,c,s]`
/// over the pixels `s` of the window that `t` lies in, and `margin` pixels around it.
///
/// Windows stand side by side; the first begin `offset` rows and columns outside of the picture, and
/// windows at its borders hold what lies inside. This is what networks compute that roll the picture
/// by `window - offset` and mask what the roll brought together. Keys and values of the margin that
/// lie outside of the picture are zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WindowAttention {
    /// Blocks of consecutive channels that attend on their own.
    pub heads: usize,
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Rows and columns of the first windows that lie outside; less than `window`.
    pub offset: [usize; 2],
    /// Pixels on each side of a window whose keys and values it sees, too.
    pub margin: usize,
    /// `B`, `[heads, 2·(rows + margin) - 1, 2·(columns + margin) - 1]`, by the distance `t - s`, the
    /// largest negative one first.
    pub bias: ParamId,
}

impl Operation for WindowAttention {
    const ARITY: Arity = Arity::Exactly(3);

    fn infer(&self, graph: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (x, k, v) = (inputs[0], inputs[1], inputs[2]);
        let Self { heads, window: [rows, columns], offset, margin, bias } = *self;
        if heads == 0 || !x.c.is_multiple_of(heads) {
            return Err(format!("{} channels in {heads} heads", x.c));
        }
        if x.c / heads > MAX_WIDTH {
            return Err(format!("heads of {} channels, at most {MAX_WIDTH}", x.c / heads));
        }
        if k != x || v != x {
            return Err(format!("query is {x}, key {k}, value {v}"));
        }
        if rows == 0 || columns == 0 || offset[0] >= rows || offset[1] >= columns {
            return Err(format!("windows of {rows}×{columns} with {offset:?} outside"));
        }
        let dims = &graph.param(bias).dims;
        let sides = [rows, columns].map(|side| 2 * (side + margin) - 1);
        let expected = [heads, sides[0], sides[1]];
        if *dims != expected {
            let name = &graph.param(bias).name;
            return Err(format!("tensor {name} is {dims:?}, expected {expected:?}"));
        }
        Ok(x)
    }

    fn visit_params(&mut self, visit: &mut dyn FnMut(&mut ParamId)) {
        visit(&mut self.bias);
    }

    fn multiply_adds(&self, _: &Graph, _: &[Shape], output: Shape) -> usize {
        // Scores, then the weighted sum; the windows at the borders count as whole ones.
        2 * output.len() * self.window.map(|side| side + 2 * self.margin).iter().product::<usize>()
    }

    fn planning(&self) -> Planning {
        Planning { buffers: 5, ..Planning::step(Cost::Light) }
    }
}
