//! Layer norms, and convolutions with a batch normalisation after them, which exporters fold into the
//! convolution.

use super::find::{Found, Layer, Spec, near};
use super::graph::{Graph, Id, Op};
use super::{Array, Mapped};

/// ε of PyTorch's `BatchNorm2d`, and of the engine's.
const EPSILON: f32 = 1e-5;

/// A convolution and its normalisation.
#[derive(Clone, Debug)]
pub(super) struct Normed {
    conv: Layer,
    /// Scale, shift, mean and variance; `None` where they are folded into the convolution.
    norm: Option<[Array; 4]>,
}

impl Normed {
    /// The convolution, where the architecture has no normalisation after it.
    pub fn into_conv(self) -> Layer {
        self.conv
    }

    /// Whether there is a normalisation of its own.
    pub fn is_normed(&self) -> bool {
        self.norm.is_some()
    }

    /// Output channels.
    pub fn channels(&self) -> usize {
        self.conv.weight.dims().first().copied().unwrap_or_default()
    }
}

impl Graph {
    /// A convolution, normalised or with the normalisation folded into it, and its input.
    pub(super) fn conv_norm(&self, at: Id, spec: Spec) -> Found<(Normed, Id)> {
        let (Op::BatchNorm(epsilon), &[y, scale, shift, mean, variance]) =
            self.step(at, "a convolution")?
        else {
            let (conv, x) = self.conv(at, spec)?;
            return Ok((Normed { conv, norm: None }, x));
        };
        if !near(*epsilon, EPSILON) {
            return self.miss(at, format!("a batch normalisation with ε = {EPSILON}"));
        }
        let arrays = [scale, shift, mean, variance].map(|id| self.array(id).cloned());
        let [Some(scale), Some(shift), Some(mean), Some(variance)] = arrays else {
            return self.miss(at, "a batch normalisation with constant statistics");
        };
        let (conv, x) = self.conv(y, spec)?;
        Ok((Normed { conv, norm: Some([scale, shift, mean, variance]) }, x))
    }

    /// Scale and shift of a layer norm over these axes, in one layer or in its steps, and what was
    /// normalised.
    pub(super) fn layer_norm(&self, at: Id, epsilon: f32, axes: &[i64]) -> Found<(Layer, Id)> {
        let expected = "a layer norm";
        // The layer has the last axis.
        if let (&Op::LayerNorm(found), &[x, weight, bias]) = self.step(at, expected)?
            && near(found, epsilon)
            && axes == [-1]
            && let (Some(weight), Some(bias)) = (self.array(weight), self.array(bias))
        {
            return Ok((Layer { weight: weight.clone(), bias: Some(bias.clone()) }, x));
        }
        let (bias, y) = self.plus_constant(at)?;
        let (weight, y) = self.times_constant(y)?;
        let [centred, root] = self.quotient(y)?;
        let [x, mean] = self.difference(centred)?;
        let of = self.mean(mean, axes)?;
        let energy = self.unary(root, |op| matches!(op, Op::Sqrt), "a root")?;
        let squares = self.mean(self.plus_number(energy, epsilon)?, axes)?;
        let squared = match self.step(squares, "squares")? {
            (Op::Pow, &[x, two]) if self.array(two).and_then(Array::scalar) == Some(2.0) => x,
            (Op::Mul, &[x, again]) if x == again => x,
            _ => return self.miss(squares, "squares"),
        };
        // The difference may be computed twice.
        let same = squared == centred || self.difference(squared)? == [x, mean];
        match of == x && same {
            true => Ok((Layer { weight, bias: Some(bias) }, x)),
            false => self.miss(at, expected),
        }
    }

    /// What the mean over these axes was taken of; of tokens, the last of three axes is -1.
    pub(super) fn mean(&self, at: Id, axes: &[i64]) -> Found<Id> {
        let fits = |found: &[i64]| found == axes || axes == [-1] && found == [2];
        let is = |op: &Op| matches!(op, Op::Mean(found) if fits(found));
        self.unary(at, is, "a mean of the right axes")
    }
}

impl Mapped {
    /// Writes a convolution under `conv` and its normalisation under `norm`. Where that was folded it
    /// becomes one that changes nothing, and the bias stays with the convolution if the architecture
    /// has one there (`biased`), or becomes the normalisation's shift.
    pub(super) fn normed(&mut self, [conv, norm]: [&str; 2], normed: Normed, biased: bool) {
        let channels = normed.channels();
        let Normed { conv: Layer { weight, bias }, norm: stored } = normed;
        self.push(format!("{conv}.weight"), weight);
        let zeros = || Array::filled(channels, 0.0);
        let values = match stored {
            Some(arrays) => {
                if biased && let Some(bias) = bias.or_else(zeros) {
                    self.push(format!("{conv}.bias"), bias);
                }
                arrays.map(Some)
            }
            None => {
                let bias = bias.or_else(zeros);
                let shift = if biased { zeros() } else { bias.clone() };
                if biased && let Some(bias) = bias {
                    self.push(format!("{conv}.bias"), bias);
                }
                // γ / √(σ² + ε) = 1, nearer than f32 can tell.
                [
                    Array::filled(channels, 1.0),
                    shift,
                    zeros(),
                    Array::filled(channels, 1.0 - EPSILON),
                ]
            }
        };
        let names = ["weight", "bias", "running_mean", "running_var"];
        for (name, array) in names.into_iter().zip(values) {
            if let Some(array) = array {
                self.push(format!("{norm}.{name}"), array);
            }
        }
    }
}
