//! burn over wgpu: a 3×3 convolution, or SRVGGNetCompact.
//!
//! The adapter is the one that `CUBECL_WGPU_DEFAULT_DEVICE` names, such as `Cpu` for a software
//! driver.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use burn::backend::Wgpu;
use burn::tensor::module::{conv2d, interpolate};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData, activation::prelu};
use peer::{Subject, Values};

type B = Wgpu<f32, i32>;
type Device = burn::tensor::Device<B>;

struct Weights(HashMap<String, Values>);

impl Weights {
    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<B, D>> {
        let Values { shape, values } = self.0.get(name).with_context(|| name.to_owned())?;
        Ok(Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device))
    }

    fn conv(&self, prefix: &str, device: &Device) -> Result<(Tensor<B, 4>, Tensor<B, 1>)> {
        let bias = self.tensor(&format!("{prefix}bias"), device)?;
        Ok((self.tensor(&format!("{prefix}weight"), device)?, bias))
    }
}

/// [N, s²·C, H, W] → [N, C, s·H, s·W].
fn pixel_shuffle(x: Tensor<B, 4>, scale: usize) -> Tensor<B, 4> {
    let [n, c, h, w] = x.dims();
    let channels = c / (scale * scale);
    x.reshape([n, channels, scale, scale, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([
        n,
        channels,
        h * scale,
        w * scale,
    ])
}

fn main() -> Result<()> {
    let subject = Subject::from_arguments()?;
    let device = Device::default();
    let Values { shape, values } = subject.input()?;
    let x = Tensor::<B, 4>::from_data(TensorData::new(values, shape), &device);
    let weights = Weights(subject.weights()?);
    let enlargement = peer::enlargement(&weights.0);
    let mut convs = Vec::new();
    let mut slopes = Vec::new();
    if let Some((count, _)) = enlargement {
        for i in 0..count {
            convs.push(weights.conv(&format!("body.{}.", 2 * i), &device)?);
        }
        for i in 1..count {
            slopes.push(weights.tensor::<1>(&format!("body.{}.weight", 2 * i - 1), &device)?);
        }
    } else {
        convs.push(weights.conv("", &device)?);
    }
    let run = || {
        let mut y = x.clone();
        for (i, (weight, bias)) in convs.iter().enumerate() {
            let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            y = conv2d(y, weight.clone(), Some(bias.clone()), options);
            if let Some(slopes) = slopes.get(i) {
                y = prelu(y, slopes.clone());
            }
        }
        if let Some((_, scale)) = enlargement {
            let [_, _, height, width] = x.dims();
            let options = InterpolateOptions::new(InterpolateMode::Nearest);
            let base = interpolate(x.clone(), [height * scale, width * scale], options);
            y = pixel_shuffle(y, scale) + base;
        }
        // What was asked for is queued; the last value in hand says that all of it was done.
        let last = y.dims().map(|size| size - 1..size);
        let value = y.clone().slice(last).into_data();
        value.to_vec::<f32>().map_err(|error| anyhow!("{error:?}"))?;
        Ok(y)
    };
    peer::serve(&subject, run, |y| {
        y.into_data().to_vec::<f32>().map_err(|error| anyhow!("{error:?}"))
    })
}
