//! What happens to values before they are stored; the order is that of [`plan::Epilogue`].

use std::sync::Arc;

use pulp::Arch;

use super::exp::exp;
use super::tensor::Tensor;
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
        Epilogue { parameters: self, width: output.plane(), tensors }
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
}

impl Epilogue<'_> {
    /// Applies it to `values`, which start at pixel `first` of channel `o` of sample `n`.
    pub fn apply(&self, n: usize, o: usize, first: usize, values: &mut [f32]) {
        debug_assert!(first + values.len() <= self.width);
        Arch::new().dispatch(
            #[inline(always)]
            || self.apply_inlined(n, o, first, values),
        );
    }

    #[inline(always)]
    fn apply_inlined(&self, n: usize, o: usize, first: usize, values: &mut [f32]) {
        let plan = &self.parameters.plan;
        let pixels = first..first + values.len();
        if let Some(demodulation) = &self.tensors.demodulation {
            let factor = demodulation.samples[n][o];
            values.iter_mut().for_each(|v| *v *= factor);
        }
        scale(values, plan.gain);
        if let (Some(noise), Some((_, strength))) = (&self.parameters.noise, plan.noise) {
            for (v, noise) in values.iter_mut().zip(&noise[pixels.clone()]) {
                *v += strength * noise;
            }
        }
        if let Some(bias) = &self.parameters.bias {
            let bias = bias[o];
            values.iter_mut().for_each(|v| *v += bias);
        }
        match plan.activation {
            Activation::Identity => {}
            Activation::LeakyRelu(slope) => leaky_relu(values, slope),
            Activation::Prelu(_) => {
                let slopes = self.parameters.slopes.as_deref();
                leaky_relu(values, slopes.map_or(1.0, |slopes| slopes[o]));
            }
            Activation::Silu => values.iter_mut().for_each(|v| *v *= sigmoid(*v)),
            Activation::Sigmoid => values.iter_mut().for_each(|v| *v = sigmoid(*v)),
            Activation::Tanh => values.iter_mut().for_each(|v| *v = v.tanh()),
            Activation::Gelu => {
                let erf = |v: f32| libm::erff(v * std::f32::consts::FRAC_1_SQRT_2);
                values.iter_mut().for_each(|v| *v *= 0.5 * (1.0 + erf(*v)));
            }
            Activation::Clamp(low, high) => {
                values.iter_mut().for_each(|v| *v = v.max(low).min(high));
            }
        }
        scale(values, plan.activation_gain);
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

#[inline(always)]
fn scale(values: &mut [f32], factor: f32) {
    if factor != 1.0 {
        values.iter_mut().for_each(|v| *v *= factor);
    }
}

#[inline(always)]
fn leaky_relu(values: &mut [f32], slope: f32) {
    values.iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { slope * *v });
}

#[inline(always)]
fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + exp(-v))
}
