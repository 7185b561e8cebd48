//! SRVGGNetCompact and single layers in candle, on the CPU.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor};
use peer::{Request, Subject, Values};

fn tensor(values: &Values) -> Result<Tensor> {
    Tensor::from_slice(&values.data, values.dims.as_slice(), &Device::Cpu)
}

fn conv(x: &Tensor, [weight, bias]: &[Tensor; 2]) -> Result<Tensor> {
    let y = x.conv2d(weight, 1, 1, 1, 1)?;
    y.broadcast_add(&bias.reshape((1, (), 1, 1))?)
}

/// Real-ESRGAN's SRVGGNetCompact for factor 4.
struct Srvgg {
    convs: Vec<[Tensor; 2]>,
    slopes: Vec<Tensor>,
}

impl Srvgg {
    fn new(weights: &HashMap<String, Values>) -> Result<Self> {
        let layers = weights.keys().filter(|name| name.ends_with(".bias")).count();
        let get = |i: usize, part: &str| tensor(&weights[&format!("body.{i}.{part}")]);
        let conv = |i: usize| Ok([get(2 * i, "weight")?, get(2 * i, "bias")?]);
        let slope = |i: usize| get(2 * i + 1, "weight")?.reshape((1, (), 1, 1));
        Ok(Self {
            convs: (0..layers).map(conv).collect::<Result<_>>()?,
            slopes: (0..layers - 1).map(slope).collect::<Result<_>>()?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let mut y = x.clone();
        for (layer, slope) in self.convs.iter().zip(&self.slopes) {
            y = conv(&y, layer)?;
            y = (y.relu()? - y.neg()?.relu()?.broadcast_mul(slope)?)?;
        }
        let y = conv(&y, &self.convs[self.slopes.len()])?;
        let y = candle_nn::ops::pixel_shuffle(&y, 4)?;
        y + x.upsample_nearest2d(4 * height, 4 * width)?
    }
}

fn main() -> Result<()> {
    let request = Request::from_arguments();
    let x = tensor(&request.input())?;
    let flat = |y: Tensor| y.flatten_all().and_then(|y| y.to_vec1()).expect("f32");
    match request.subject() {
        Subject::Layer([channels, _]) => {
            let [weight, bias] = request.layer(channels);
            let layer = [tensor(&weight)?, tensor(&bias)?];
            request.serve(|| conv(&x, &layer).expect("a run"), flat);
        }
        Subject::Network(_) if request.subject.starts_with("srvgg") => {
            let network = Srvgg::new(&request.weights())?;
            request.serve(|| network.forward(&x).expect("a run"), flat);
        }
        Subject::Network(_) => eprintln!("{} is not written for candle", request.subject),
    }
    Ok(())
}
