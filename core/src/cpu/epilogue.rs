//! Changes values before they are stored, in the order of [`plan::Epilogue`].

use std::sync::Arc;

use super::exp::exp;
use super::tensor::Tensor;
use super::vectorize::vectorize;
use crate::graph::{Activation, Graph};
use crate::plan;
use crate::tensor::Shape;

/// The parameters of an epilogue, decoded.
#[derive(Clone, Debug)]
pub struct Parameters {
    plan: plan::Epilogue,
    noise: Option<Arc<[f32]>>,
    bias: Option<Arc<[f32]>>,
    slopes: Option<Arc<[f32]>>,
}

impl Parameters {
    /// Decodes the parameters that `epilogue` names.
    pub fn new(graph: &Graph, epilogue: &plan::Epilogue) -> Self {
        let values = |id| Arc::from(graph.param(id).to_f32());
        Self {
            plan: epilogue.clone(),
            noise: epilogue.noise.map(|(noise, _)| values(noise)),
            bias: epilogue.bias.map(values),
            slopes: match epilogue.activation {
                Activation::Prelu(slopes) => Some(values(slopes)),
                _ => None,
            },
        }
    }

    /// Bytes.
    pub fn memory(&self) -> usize {
        let parts = [&self.noise, &self.bias, &self.slopes];
        parts.into_iter().flatten().map(|values| size_of_val(&values[..])).sum()
    }

    /// With the tensors that the step reads.
    pub fn bind<'a>(&'a self, output: Shape, tensors: Tensors<'a>) -> Epilogue<'a> {
        Epilogue { parameters: self, width: output.plane(), tensors, first_channel: 0 }
    }
}

/// The tensors that an epilogue reads.
#[derive(Clone, Debug, Default)]
pub struct Tensors<'a> {
    /// `[N, O]`
    pub demodulation: Option<Tensor<'a>>,
    /// Scale and shift.
    pub sft: Option<[Tensor<'a>; 2]>,
    /// Like the output.
    pub residual: Option<Tensor<'a>>,
}

/// An epilogue ready to be applied.
#[derive(Clone, Debug)]
pub struct Epilogue<'a> {
    parameters: &'a Parameters,
    width: usize,
    tensors: Tensors<'a>,
    first_channel: usize,
}

impl Epilogue<'_> {
    /// The epilogue of an output's channels from `first_channel` on.
    pub fn from(&self, first_channel: usize) -> Self {
        Self { first_channel: self.first_channel + first_channel, ..self.clone() }
    }

    /// Applies it to `values`, which start at pixel `first` of channel `o` of sample `n`.
    pub fn apply(&self, n: usize, o: usize, first: usize, values: &mut [f32]) {
        debug_assert!(first + values.len() <= self.width);
        vectorize(
            #[inline(always)]
            || self.apply_inlined(n, self.first_channel + o, first, values),
        );
    }

    #[inline(always)]
    fn apply_inlined(&self, n: usize, o: usize, first: usize, values: &mut [f32]) {
        let plan = &self.parameters.plan;
        let pixels = first..first + values.len();
        let demodulation = self.tensors.demodulation.as_ref().map(|d| d.samples[n][o]);
        let factor = demodulation.unwrap_or(1.0) * plan.gain;
        let bias = self.parameters.bias.as_ref().map_or(0.0, |bias| bias[o]);
        // Noise, bias and slopes in one pass over the values.
        let slope = match plan.activation {
            Activation::LeakyRelu(slope) => slope,
            Activation::Prelu(_) => self.parameters.slopes.as_deref().map_or(1.0, |s| s[o]),
            _ => 1.0,
        };
        let gain = if slope == 1.0 { 1.0 } else { plan.activation_gain };
        let [above, below] = [gain, gain * slope];
        match (&self.parameters.noise, plan.noise) {
            (Some(noise), Some((_, strength))) => {
                for (v, noise) in values.iter_mut().zip(&noise[pixels.clone()]) {
                    let biased = *v * factor + strength * noise + bias;
                    *v = biased * if biased > 0.0 { above } else { below };
                }
            }
            _ if (factor, bias, above, below) == (1.0, 0.0, 1.0, 1.0) => {}
            _ => {
                for v in values.iter_mut() {
                    let biased = *v * factor + bias;
                    *v = biased * if biased > 0.0 { above } else { below };
                }
            }
        }
        match plan.activation {
            Activation::Identity | Activation::LeakyRelu(_) | Activation::Prelu(_) => {}
            Activation::Silu => values.iter_mut().for_each(|v| *v *= sigmoid(*v)),
            Activation::Sigmoid => values.iter_mut().for_each(|v| *v = sigmoid(*v)),
            Activation::Tanh => values.iter_mut().for_each(|v| *v = v.tanh()),
            Activation::Gelu => {
                let erf = |v: f32| libm::erff(v * std::f32::consts::FRAC_1_SQRT_2);
                values.iter_mut().for_each(|v| *v *= 0.5 * (1.0 + erf(*v)));
            }
            Activation::Mish => values.iter_mut().for_each(|v| *v *= tanh_of_softplus(*v)),
            Activation::Clamp(low, high) => {
                values.iter_mut().for_each(|v| *v = v.max(low).min(high));
            }
        }
        if gain != plan.activation_gain {
            scale(values, plan.activation_gain);
        }
        if let (Some(sft), Some([scale, shift])) = (plan.sft, &self.tensors.sft)
            && let Some(channel) = o.checked_sub(sft.first_channel)
        {
            let scale = &scale.plane(n, channel)[pixels.clone()];
            let shift = &shift.plane(n, channel)[pixels.clone()];
            for ((v, scale), shift) in values.iter_mut().zip(scale).zip(shift) {
                *v = *v * scale + shift;
            }
        }
        if let Some(residual) = &self.tensors.residual {
            for (v, residual) in values.iter_mut().zip(&residual.plane(n, o)[pixels]) {
                *v += residual;
            }
        }
        scale(values, plan.output_gain);
    }
}

/// `tanh(ln(1 + e^v)) = n / (n + 2)` with `n = e^v · (e^v + 2)`; from 20 on it is 1 in f32.
#[inline(always)]
fn tanh_of_softplus(v: f32) -> f32 {
    let e = v.min(20.0).exp();
    let n = e * (e + 2.0);
    n / (n + 2.0)
}

#[inline(always)]
fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        values.iter_mut().for_each(|v| *v *= factor);
    }
}

#[inline(always)]
fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + exp(-v))
}
