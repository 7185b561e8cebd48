//! SRVGGNetCompact and single layers in burn, on wgpu's default adapter. A run ends when its result
//! is in the host's memory.

use std::collections::HashMap;

use burn::backend::Wgpu;
use burn::tensor::activation::prelu;
use burn::tensor::module::{conv2d, interpolate};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData};
use peer::{Request, Subject, Values};

type Picture = Tensor<Wgpu, 4>;

fn tensor<const D: usize>(values: &Values) -> Tensor<Wgpu, D> {
    let data = TensorData::new(values.data.clone(), values.dims.clone());
    Tensor::from_data(data, &Default::default())
}

fn conv(x: Picture, (weight, bias): &(Picture, Tensor<Wgpu, 1>)) -> Picture {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    conv2d(x, weight.clone(), Some(bias.clone()), options)
}

/// Real-ESRGAN's SRVGGNetCompact for factor 4.
struct Srvgg {
    convs: Vec<(Picture, Tensor<Wgpu, 1>)>,
    slopes: Vec<Tensor<Wgpu, 1>>,
}

impl Srvgg {
    fn new(weights: &HashMap<String, Values>) -> Self {
        let layers = weights.keys().filter(|name| name.ends_with(".bias")).count();
        let get = |i: usize, part: &str| &weights[&format!("body.{i}.{part}")];
        Self {
            convs: (0..layers)
                .map(|i| (tensor(get(2 * i, "weight")), tensor(get(2 * i, "bias"))))
                .collect(),
            slopes: (0..layers - 1).map(|i| tensor(get(2 * i + 1, "weight"))).collect(),
        }
    }

    fn forward(&self, x: &Picture) -> Picture {
        let [_, _, height, width] = x.dims();
        let mut y = x.clone();
        for (layer, slope) in self.convs.iter().zip(&self.slopes) {
            y = prelu(conv(y, layer), slope.clone());
        }
        let y = conv(y, &self.convs[self.slopes.len()]);
        let y: Tensor<Wgpu, 5> = y.reshape([3, 4, 4, height, width]);
        let y = y.permute([0, 3, 1, 4, 2]);
        let y: Picture = y.reshape([1, 3, 4 * height, 4 * width]);
        let options = InterpolateOptions::new(InterpolateMode::Nearest);
        y + interpolate(x.clone(), [4 * height, 4 * width], options)
    }
}

fn main() {
    let request = Request::from_arguments();
    let x: Picture = tensor(&request.input());
    let fetch = |y: Picture| y.into_data();
    let flat = |y: TensorData| y.to_vec::<f32>().expect("f32");
    match request.subject() {
        Subject::Layer([channels, _]) => {
            let [weight, bias] = request.layer(channels);
            let layer = (tensor(&weight), tensor(&bias));
            request.serve(|| fetch(conv(x.clone(), &layer)), flat);
        }
        Subject::Network(_) if request.subject.starts_with("srvgg") => {
            let network = Srvgg::new(&request.weights());
            request.serve(|| fetch(network.forward(&x)), flat);
        }
        Subject::Network(_) => eprintln!("{} is not written for burn", request.subject),
    }
}
