//! StyleGAN2's modulated convolution, as exporters write it: its weights are products of constants
//! and styles, and its kernel is computed anew for each picture.

use super::find::{Found, Layer, Spec, near};
use super::graph::{Graph, Id, Op, Window};
use super::{Array, Mapped};

/// What is added to the sum of squared weights.
const EPSILON: f32 = 1e-8;

/// A modulated convolution.
#[derive(Clone, Debug)]
pub(super) struct Modulated {
    /// `[1, O, I, k, k]`, for a transposed convolution too.
    pub weight: Array,
    /// The affine layer that makes a style of a latent vector.
    pub modulation: Layer,
    /// That latent vector.
    pub latent: Id,
    /// The input of the convolution.
    pub x: Id,
    /// A bias that was folded into the convolution.
    pub bias: Option<Array>,
    /// Whether it doubles the size as a transposed convolution.
    pub transposed: bool,
}

impl Modulated {
    /// Output channels.
    pub fn channels(&self) -> usize {
        self.weight.dims().get(1).copied().unwrap_or_default()
    }
}

impl Graph {
    /// A modulated convolution with a `kernel × kernel` window.
    pub(super) fn modulated(&self, at: Id, kernel: usize, demodulate: bool) -> Found<Modulated> {
        let expected = format!("a modulated {kernel}×{kernel} convolution");
        let at = self.unshaped(at);
        let Spec { padding, .. } = Spec::same(kernel);
        let window = Window { stride: [1; 2], padding, dilation: [1; 2], groups: 1 };
        let twice = Window { stride: [2; 2], padding: [0; 4], ..window };
        let (x, weight, bias, transposed) = match self.step(at, &expected)? {
            (Op::Conv(found), &[x, weight, ref bias @ ..]) if *found == window => {
                (x, weight, bias, false)
            }
            (Op::ConvTranspose(found), &[x, weight, ref bias @ ..]) if *found == twice => {
                (x, weight, bias, true)
            }
            _ => return self.miss(at, expected),
        };
        let bias = match bias {
            [] => None,
            &[bias] => match self.array(bias) {
                Some(bias) => Some(bias.clone()),
                None => return self.miss(bias, "a constant bias"),
            },
            _ => return self.miss(at, expected),
        };
        let mut weight = self.unshaped(weight);
        if demodulate {
            let ((), styled) = self.either(self.product(weight)?, |id| self.norms(id))?;
            let ((), again) = self.either(self.product(weight)?, |id| self.norms_of(id, styled))?;
            if again != styled {
                return self.miss(again, "the weights that the norms are of");
            }
            weight = styled;
        }
        let (weight, style) = self.times_constant(weight)?;
        let (modulation, latent) = self.linear(self.unshaped(style))?;
        let &[1, _, inputs, height, width] = weight.dims() else {
            return self.miss(at, expected);
        };
        let rows = modulation.weight.dims().first().copied();
        if [height, width] != [kernel; 2] || rows != Some(inputs) {
            return self.miss(at, expected);
        }
        Ok(Modulated { weight, modulation, latent, x: self.unshaped(x), bias, transposed })
    }

    /// That `at` is one by the norms of some weights.
    fn norms(&self, at: Id) -> Found<()> {
        self.norms_from(at).map(|_| ())
    }

    /// That `at` is one by the norms of `weights`.
    fn norms_of(&self, at: Id, weights: Id) -> Found<()> {
        match self.norms_from(at)? {
            found if found == weights => Ok(()),
            found => self.miss(found, "the weights that the norms are of"),
        }
    }

    /// The values, by the root of the sum or mean of whose squares is divided.
    pub(super) fn norms_from(&self, at: Id) -> Found<Id> {
        let at = self.unshaped(at);
        let root = match self.step(at, "one by a root")? {
            (Op::Reciprocal, &[root]) => root,
            (Op::Div, &[one, root]) if self.array(one).and_then(Array::scalar) == Some(1.0) => root,
            _ => return self.miss(at, "one by a root"),
        };
        let energy = self.unary(root, |op| matches!(op, Op::Sqrt), "a root")?;
        let sum = self.plus_number(energy, EPSILON)?;
        let squares =
            self.unary(sum, |op| matches!(op, Op::Sum | Op::Mean(_)), "a sum of squares")?;
        match self.step(squares, "squares")? {
            (Op::Pow, &[x, two]) if self.array(two).and_then(Array::scalar) == Some(2.0) => Ok(x),
            (Op::Mul, &[x, again]) if x == again => Ok(x),
            _ => self.miss(squares, "squares"),
        }
    }

    /// A bias of one value per channel that was added, or folded into the convolution, and the
    /// convolution.
    pub(super) fn biased(&self, at: Id, kernel: usize) -> Found<(Modulated, Array)> {
        if let Ok((bias, y)) = self.plus_constant(at) {
            let conv = self.modulated(y, kernel, false)?;
            return Ok((conv, bias));
        }
        let conv = self.modulated(at, kernel, false)?;
        match conv.bias.clone() {
            Some(bias) => Ok((conv, bias)),
            None => self.miss(at, "a bias"),
        }
    }

    /// The place of a latent vector among those of all layers, and all of them.
    pub(super) fn latent(&self, at: Id) -> Found<(usize, Id)> {
        match self.step(self.unshaped(at), "a latent vector")? {
            (&Op::Pick { axis: 1, index }, &[all]) => match usize::try_from(index) {
                Ok(index) => Ok((index, self.unshaped(all))),
                Err(_) => self.miss(at, "a latent vector counted from the front"),
            },
            _ => self.miss(at, "one of the latent vectors"),
        }
    }
}

impl Mapped {
    /// Writes the convolution and its affine layer; weights are divided by `scale` where the exporter
    /// multiplied them with it, those of the affine layer by `affine`.
    pub(super) fn modulated(
        &mut self,
        graph: &Graph,
        at: Id,
        name: &str,
        conv: &Modulated,
        [scale, affine]: [f32; 2],
    ) -> Found<()> {
        let unscaled = |array: &Array, by: f32| match near(by, 1.0) {
            true => Ok(array.clone()),
            false => match array.divided(by) {
                Some(array) => Ok(array),
                None => graph.miss(at, "weights"),
            },
        };
        self.push(format!("{name}.weight"), unscaled(&conv.weight, scale)?);
        let Layer { weight, bias } = &conv.modulation;
        let Some(bias) = bias else { return graph.miss(at, "an affine layer with a bias") };
        self.push(format!("{name}.modulation.weight"), unscaled(weight, affine)?);
        self.push(format!("{name}.modulation.bias"), bias.clone());
        Ok(())
    }
}
