//! Weights for networks without their files: uniform numbers at a scale that keeps activations
//! near 1, computed when they are first read, so that planning a network costs next to nothing.

use std::sync::{Arc, OnceLock};

use crate::check::uniform;
use crate::graph::Param;

/// `len` values of `mean + spread · u`, `u` uniform in [-1, 1).
struct Uniform {
    stream: u64,
    mean: f32,
    spread: f32,
    len: usize,
    bytes: OnceLock<Vec<u8>>,
}

impl AsRef<[u8]> for Uniform {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get_or_init(|| {
            let values = (0..self.len).map(|i| {
                let u = 2.0 * uniform(self.stream, i as u64) - 1.0;
                self.mean + self.spread * u
            });
            values.flat_map(f32::to_le_bytes).collect()
        })
    }
}

/// Tensors under construction.
#[derive(Default)]
pub struct Weights {
    tensors: Vec<Param>,
}

impl Weights {
    /// All of them.
    pub fn into_tensors(self) -> Vec<Param> {
        self.tensors
    }

    /// Values of `mean ± spread`.
    pub fn tensor(&mut self, name: impl Into<String>, dims: &[usize], mean: f32, spread: f32) {
        let len = dims.iter().product();
        let stream = self.tensors.len() as u64 + 1;
        // Streams of neighbours would be each other's, one element later.
        let stream = stream.wrapping_mul(0xd134_2543_de82_ef95);
        let values = Uniform { stream, mean, spread, len, bytes: OnceLock::new() };
        self.tensors.push(Param::deferred(name, dims.to_vec(), Arc::new(values)));
    }

    /// A weight whose outputs have the deviation of its inputs, times `gain`; `dims` are
    /// `[O, I, …]`.
    pub fn weight(&mut self, name: impl Into<String>, dims: &[usize], gain: f32) {
        let fan_in: usize = dims.iter().skip(1).product();
        self.tensor(name, dims, 0.0, gain * (3.0 / fan_in as f32).sqrt());
    }

    /// A plain layer `[O, I, k, k]` with a bias, before a leaky ReLU of slope 0.2.
    pub fn conv(&mut self, name: &str, [o, i, k]: [usize; 3]) {
        self.weight(format!("{name}.weight"), &[o, i, k, k], 1.4);
        self.bias(format!("{name}.bias"), o);
    }

    /// A small bias.
    pub fn bias(&mut self, name: impl Into<String>, len: usize) {
        self.tensor(name, &[len], 0.0, 0.2);
    }

    /// A weight that its layer divides by `√fan_in`, as StyleGAN2's do.
    pub fn equalised(&mut self, name: impl Into<String>, dims: &[usize]) {
        self.tensor(name, dims, 0.0, 3f32.sqrt());
    }

    /// The layer that turns a latent of `d` values into a style of `i`, whose mean is 1.
    pub fn modulation(&mut self, name: &str, [i, d]: [usize; 2], equalised: bool) {
        let spread = if equalised { 0.8 } else { 0.8 / (d as f32).sqrt() };
        self.tensor(format!("{name}.weight"), &[i, d], 0.0, spread);
        self.tensor(format!("{name}.bias"), &[i], 1.0, 0.2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_when_they_are_read_and_differ_between_tensors() {
        let mut weights = Weights::default();
        weights.weight("a", &[4, 300], 1.0);
        weights.tensor("b", &[1000], 2.0, 0.5);
        let [a, b] = &weights.into_tensors()[..] else { panic!() };
        let (a, b) = (a.to_f32(), b.to_f32());
        let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
        let square: f32 = a.iter().map(|v| v * v).sum::<f32>() / a.len() as f32;
        assert!((square * 300.0 - 1.0).abs() < 0.1, "{square}");
        assert!(mean(&a).abs() < 0.005 && (mean(&b) - 2.0).abs() < 0.05);
        assert!((0..900).all(|i| a[i + 1] / 0.1 != b[i]));
    }
}
