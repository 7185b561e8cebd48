//! Batch normalisation at inference, folded into the convolution before it:
//!
//! `γ·(W x + b - μ)/√(σ² + ε) + β = (s·W) x + s·(b - μ) + β` with `s = γ/√(σ² + ε)` per output
//! channel (S. Ioffe, C. Szegedy, *Batch Normalization*, 2015).

use super::{Builder, ConvSpec};
use crate::graph::{NodeId, ParamId, ops};
use crate::{Error, Result};

/// ε of PyTorch's `BatchNorm2d`.
const EPSILON: f64 = 1e-5;

/// Running statistics and learned scale, one value per channel.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// γ
    pub weight: Vec<f32>,
    /// β
    pub bias: Vec<f32>,
    /// μ
    pub mean: Vec<f32>,
    /// σ²
    pub variance: Vec<f32>,
}

impl BatchNorm {
    /// The weight `[O, …]` and bias `[O]` of a convolution with this normalisation after it. `bias`
    /// is the convolution's own, empty where it has none.
    pub fn fold(&self, weight: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let scales: Vec<f64> = (self.weight.iter().zip(&self.variance))
            .map(|(&weight, &variance)| f64::from(weight) / (f64::from(variance) + EPSILON).sqrt())
            .collect();
        let taps = weight.len() / scales.len().max(1);
        let weight = (weight.iter().enumerate())
            .map(|(i, &w)| (scales[i / taps] * f64::from(w)) as f32)
            .collect();
        let bias = (scales.iter().enumerate())
            .map(|(o, scale)| {
                let own = bias.get(o).copied().map_or(0.0, f64::from);
                (scale * (own - f64::from(self.mean[o])) + f64::from(self.bias[o])) as f32
            })
            .collect();
        (weight, bias)
    }
}

/// Where a normalised convolution's tensors are.
#[derive(Clone, Copy, Debug)]
pub struct Normalised<'n> {
    /// Prefix of `.weight`, and of `.bias` where [`ConvSpec::bias`] is set.
    pub conv: &'n str,
    /// Prefix of `.weight`, `.bias`, `.running_mean`, `.running_var`.
    pub norm: &'n str,
}

impl Builder<'_> {
    /// A convolution and its batch normalisation as one convolution with bias.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn conv_norm(
        &mut self,
        x: NodeId,
        names: Normalised<'_>,
        spec: ConvSpec,
    ) -> Result<NodeId> {
        let name = format!("{}.weight", names.conv);
        let dims = self.weight_dims(x, &name, spec)?;
        let (weight, bias) = self.folded(x, names, &dims, spec.bias)?;
        let y = self.convolve(x, &name, weight, spec)?;
        self.add_scoped(&name, ops::Bias(bias), &[y])
    }

    /// A 1×1 convolution of a vector `[N, C, 1, 1]`, with its batch normalisation, as a matrix
    /// product.
    ///
    /// # Errors
    /// When a tensor is missing or misshapen.
    pub fn linear_norm(&mut self, x: NodeId, names: Normalised<'_>, out: usize) -> Result<NodeId> {
        let dims = [out, self.shape(x).c];
        let (weight, bias) = self.folded(x, names, &dims, false)?;
        let y = self.add_scoped(names.conv, ops::Linear(weight), &[x])?;
        self.add_scoped(names.conv, ops::Bias(bias), &[y])
    }

    fn folded(
        &mut self,
        x: NodeId,
        names: Normalised<'_>,
        dims: &[usize],
        with_bias: bool,
    ) -> Result<(ParamId, ParamId)> {
        let name = format!("{}.weight", names.conv);
        let weight = self.weight_values(x, &name, dims)?;
        let out = [dims[0]];
        // Each has a value per row of the weight, which a message therefore names too.
        let vector = |name: String| match self.checkpoint().require(&name, &out) {
            Ok(param) => Ok(param.to_f32()),
            Err(Error::Tensor { name, what }) => {
                let what = format!("{what}; it follows tensor {}.weight", names.conv);
                Err(Error::Tensor { name, what })
            }
            Err(error) => Err(error),
        };
        let bias = match with_bias {
            true => vector(format!("{}.bias", names.conv))?,
            false => Vec::new(),
        };
        let norm = BatchNorm {
            weight: vector(format!("{}.weight", names.norm))?,
            bias: vector(format!("{}.bias", names.norm))?,
            mean: vector(format!("{}.running_mean", names.norm))?,
            variance: vector(format!("{}.running_var", names.norm))?,
        };
        let (weight, bias) = norm.fold(&weight, &bias);
        let weight = self.computed(&name, dims.to_vec(), &weight);
        Ok((weight, self.computed(&format!("{}.bias", names.norm), out.to_vec(), &bias)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_normalising_afterwards() {
        let norm = BatchNorm {
            weight: vec![1.5, -0.5],
            bias: vec![0.25, 2.0],
            mean: vec![-1.0, 3.0],
            variance: vec![0.04, 9.0],
        };
        let (weight, bias) = ([1.0, -2.0, 0.5, 4.0], [0.125, -0.75]);
        let x = [0.3, -1.7];
        for own in [&bias[..], &[]] {
            let (folded, shift) = norm.fold(&weight, own);
            for o in 0..2 {
                let dot = |w: &[f32]| w[2 * o] * x[0] + w[2 * o + 1] * x[1];
                let y = dot(&weight) + own.get(o).unwrap_or(&0.0);
                let deviation = (norm.variance[o] + 1e-5).sqrt();
                let expected = norm.weight[o] * (y - norm.mean[o]) / deviation + norm.bias[o];
                assert!((dot(&folded) + shift[o] - expected).abs() < 1e-5, "{o}");
            }
        }
    }
}
