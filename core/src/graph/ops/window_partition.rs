//! `window_partition`: the windows of a picture as samples, and back.

use super::{Arity, Cost, Operation, Planning};
use crate::graph::{Graph, ParamId};
use crate::tensor::Shape;

/// The `R·S` windows of `h × w` pixels, `h = H/R` and `w = W/S`, become samples:
/// `y[(n·R + r)·S + s, c, i, j] = x[n, c, r·h + i, s·w + j]`, or, where windows are dilated,
/// `y[(n·R + r)·S + s, c, i, j] = x[n, c, i·R + r, j·S + s]`. Reversed, samples become windows.
///
/// What computes on whole samples then computes on windows (`window_partition` and `window_reverse`
/// of Liu et al. 2021, *Swin Transformer*; dilated: the grids of Tu et al. 2022, *MaxViT*).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WindowPartition {
    /// Windows down and across, `R` and `S`.
    pub windows: [usize; 2],
    /// Whether neighbours in a window lie `R` rows and `S` columns apart in the picture.
    pub dilated: bool,
    /// From samples to the picture.
    pub reverse: bool,
}

impl Operation for WindowPartition {
    const ARITY: Arity = Arity::Exactly(1);

    fn infer(&self, _: &Graph, inputs: &[Shape]) -> Result<Shape, String> {
        let (Shape { n, c, h, w }, [rows, columns]) = (inputs[0], self.windows);
        let windows = rows.checked_mul(columns).filter(|&windows| windows > 0);
        let windows = windows.ok_or_else(|| format!("{rows} × {columns} windows"))?;
        let (whole, shape) = match self.reverse {
            false => {
                let whole = h.is_multiple_of(rows) && w.is_multiple_of(columns);
                (whole, Shape::new(n.saturating_mul(windows), c, h / rows, w / columns))
            }
            true => {
                let [h, w] = [h.saturating_mul(rows), w.saturating_mul(columns)];
                (n.is_multiple_of(windows), Shape::new(n / windows, c, h, w))
            }
        };
        match whole {
            true => Ok(shape),
            false => Err(format!("{} in {rows} × {columns} windows", inputs[0])),
        }
    }

    fn visit_params(&mut self, _: &mut dyn FnMut(&mut ParamId)) {}

    fn multiply_adds(&self, _: &Graph, _: &[Shape], _: Shape) -> usize {
        0
    }

    fn planning(&self) -> Planning {
        Planning::step(Cost::Light)
    }
}
