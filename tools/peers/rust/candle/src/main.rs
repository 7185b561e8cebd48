//! candle on the CPU: a 3×3 convolution, or SRVGGNetCompact.

use std::collections::HashMap;

use anyhow::{Context, Result};
use candle_core::{Device, Module, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, PReLU, ops::pixel_shuffle};
use peer::{Subject, Values};

struct Weights(HashMap<String, Values>);

impl Weights {
    fn tensor(&self, name: &str) -> Result<Tensor> {
        let Values { shape, values } = self.0.get(name).with_context(|| name.to_owned())?;
        Ok(Tensor::from_slice(values, shape.as_slice(), &Device::Cpu)?)
    }

    fn conv(&self, prefix: &str) -> Result<Conv2d> {
        let config = Conv2dConfig { padding: 1, ..Default::default() };
        let bias = self.tensor(&format!("{prefix}bias"))?;
        Ok(Conv2d::new(self.tensor(&format!("{prefix}weight"))?, Some(bias), config))
    }
}

fn main() -> Result<()> {
    let subject = Subject::from_arguments()?;
    let Values { shape, values } = subject.input()?;
    let x = Tensor::from_vec(values, shape, &Device::Cpu)?;
    let weights = Weights(subject.weights()?);
    let mut layers: Vec<Box<dyn Module>> = Vec::new();
    let enlargement = peer::enlargement(&weights.0);
    if let Some((convs, _)) = enlargement {
        for i in 0..convs {
            layers.push(Box::new(weights.conv(&format!("body.{}.", 2 * i))?));
            if i + 1 < convs {
                let slopes = weights.tensor(&format!("body.{}.weight", 2 * i + 1))?;
                layers.push(Box::new(PReLU::new(slopes, false)));
            }
        }
    } else {
        layers.push(Box::new(weights.conv("")?));
    }
    let run = || {
        let mut y = x.clone();
        for layer in &layers {
            y = layer.forward(&y)?;
        }
        if let Some((_, scale)) = enlargement {
            let (_, _, height, width) = x.dims4()?;
            y = (pixel_shuffle(&y, scale)?
                + x.upsample_nearest2d(height * scale, width * scale)?)?;
        }
        Ok(y)
    };
    peer::serve(&subject, run, |y| Ok(y.flatten_all()?.to_vec1()?))
}
