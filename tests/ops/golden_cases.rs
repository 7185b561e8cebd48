//! How the graphs of PyTorch's single operations are built: every case of `goldens/ops` whose
//! operation, `op` in its `meta.json`, a row of [`TABLE`] claims. The tests in browsers use it too.

use std::collections::BTreeMap;

use pentimento::Result;
use pentimento::graph::{Activation, Conv2d, Graph, Interpolation, NodeId, Padding, ops};
use pentimento::models::{bisenet, parsenet, retinaface};
use pentimento::nn::batch_norm::Normalised;
use pentimento::nn::stylegan2::{
    Family, Modulated, Resample, Sampling, Styled, fir_kernel, modulated_conv, styled_conv, to_rgb,
};
use pentimento::nn::{Builder, ConvSpec, transformer, vqgan};
use pentimento::tensor::Shape;
use serde_json::Value;

use crate::support::checkpoint;

/// A golden under construction: its parameters, and a builder that knows its tensors.
struct Golden<'a, 'b> {
    b: &'b mut Builder<'a>,
    /// Outputs besides the first, by the name of their file: `output_{name}.npy`.
    others: Vec<(&'static str, NodeId)>,
    inputs: BTreeMap<String, NodeId>,
    meta: &'b Value,
    case: &'b str,
}

type Build = fn(&mut Golden) -> Result<NodeId>;

/// How `op` begins, and how to build such a case. The first row that fits is taken. Cases without a
/// row belong to operations that the engine does not have.
const TABLE: &[(&str, Build)] = &[
    ("mean over H,W", |g| g.b.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[g.x()])),
    ("attention refinement", |g| bisenet::refine(g.b, g.x(), "")),
    ("depthwise 3x3", |g| {
        let stride = g.number("stride") as usize;
        let (channels, x) = (g.b.shape(g.x()).c, g.x());
        let filter = ConvSpec::same(3).out(channels).without_bias();
        let filter = ConvSpec { groups: channels, stride, ..filter };
        let y = g.b.conv_norm(x, Normalised { conv: "0", norm: "1" }, filter)?;
        let y = g.b.leaky_relu(y, 0.1)?;
        let names = Normalised { conv: "3", norm: "4" };
        let y = g.b.conv_norm(y, names, ConvSpec::same(1).without_bias())?;
        g.b.leaky_relu(y, 0.1)
    }),
    ("max_pool2d", |g| {
        let [kernel, stride, padding] = ["k", "stride", "pad"].map(|key| g.number(key) as usize);
        g.b.add(ops::MaxPool2d { kernel, stride, padding }, &[g.x()])
    }),
    ("ParseNet ResidualBlock down", |g| parsenet::res_block(g.b, g.x(), "", parsenet::Scale::Half)),
    ("ParseNet ResidualBlock up", |g| parsenet::res_block(g.b, g.x(), "", parsenet::Scale::Double)),
    ("reflection pad, right and bottom", |g| {
        let [right, bottom] = ["right", "bottom"].map(|key| g.number(key) as i32);
        let padding = Padding { top: 0, bottom, left: 0, right };
        g.b.add(ops::ReflectPad(padding), &[g.x()])
    }),
    ("reflection pad", |g| {
        g.b.add(ops::ReflectPad(Padding::all(g.number("pad") as i32)), &[g.x()])
    }),
    ("SSH", |g| {
        let width = 2 * g.b.checkpoint().rows("conv3X3.0.weight")?;
        retinaface::context(g.b, g.x(), "", width)
    }),
    ("adaptive instance norm", |g| {
        g.b.add(ops::AdaIn { epsilon: 1e-5 }, &[g.inputs["content"], g.inputs["style"]])
    }),
    ("controllable feature transform", |g| {
        let fidelity = g.number("w") as f32;
        vqgan::fuse(g.b, g.inputs["enc"], g.inputs["dec"], "w", fidelity)
    }),
    ("MultiHeadAttnBlock cross", |g| {
        let (query, heads) = (Some((g.inputs["y"], "norm2")), g.number("heads") as usize);
        vqgan::attention(g.b, g.x(), "w", "norm1", query, heads)
    }),
    ("MultiHeadAttnBlock self", |g| {
        let heads = g.number("heads") as usize;
        vqgan::attention(g.b, g.x(), "w", "norm1", None, heads)
    }),
    ("GroupNorm(32,eps1e-6)-swish-conv", |g| vqgan::res_block(g.b, g.x(), "w", "nin_shortcut")),
    ("pre-norm self attention", |g| {
        let (position, heads) = (g.inputs["pos"], g.number("heads") as usize);
        transformer::layer(g.b, g.x(), position, "w", heads)
    }),
    ("nearest codebook row", |g| {
        let [index, row] = vqgan::quantize(g.b, g.x(), "embedding.weight")?;
        g.others.push(("indices", index));
        Ok(row)
    }),
    ("single-head attention block", |g| vqgan::attention(g.b, g.x(), "w", "norm", None, 1)),
    ("interpolate nearest", |g| match g.meta["params"]["size"].is_array() {
        true => g.resize_to(Interpolation::Nearest),
        false => g.b.nearest(g.x(), g.number("scale") as usize),
    }),
    ("interpolate", |g| {
        let aligned = g.meta["params"]["align_corners"].as_bool().unwrap_or(false);
        match g.meta["params"]["size"].is_array() {
            _ if aligned => g.resize_to(Interpolation::BilinearAlignCorners),
            true => g.resize_to(Interpolation::Bilinear),
            false => g.b.bilinear(g.x(), g.number("scale") as f32),
        }
    }),
    ("ConvLayer downsample", |g| {
        let y = blur(g, Some("0.kernel"), Padding::all(2), g.x())?;
        let y = g.equal_conv("1.weight", y, 2, 0)?;
        g.bias("2.bias", y).and_then(|y| g.b.scaled_leaky_relu(y))
    }),
    ("pad right/bottom by 1", |g| vqgan::downsample(g.b, g.x(), "w")),
    ("equal_conv2d", |g| {
        let (stride, pad) = (g.number("stride"), g.number("padding"));
        let y = g.equal_conv("weight", g.x(), stride as usize, pad as i32)?;
        g.bias("bias", y)
    }),
    ("equal_linear", |g| {
        let out = g.b.checkpoint().rows("weight")?;
        let y = g.linear("", out)?;
        match g.meta["params"]["activation"].as_str() {
            Some("fused_lrelu") => g.b.scaled_leaky_relu(y),
            _ => Ok(y),
        }
    }),
    ("fused_leaky_relu", |g| {
        let y = g.bias("bias", g.x())?;
        g.b.scaled_leaky_relu(y)
    }),
    ("scaled_leaky_relu", |g| g.b.scaled_leaky_relu(g.x())),
    ("modulated_conv (BasicSR", |g| g.modulated(FIR)),
    ("modulated_conv with weights so small", |g| g.modulated(CLEAN)),
    ("modulated_conv (clean", |g| g.modulated(CLEAN)),
    ("x * rsqrt(mean(x^2", |g| g.b.add(ops::PixelNorm, &[g.x()])),
    ("pixel_shuffle", |g| g.b.add(ops::PixelShuffle(g.number("r") as usize), &[g.x()])),
    ("pixel_unshuffle", |g| g.b.add(ops::PixelUnshuffle(g.number("r") as usize), &[g.x()])),
    ("prelu per channel", |g| {
        let slope = g.b.param("weight", &[g.b.shape(g.x()).c], 1.0)?;
        g.b.add(Activation::Prelu(slope), &[g.x()])
    }),
    ("residual dense block", |g| dense_block(g.b, g.x(), "")),
    ("RRDB", |g| {
        let mut y = g.x();
        for block in ["rdb1.", "rdb2.", "rdb3."] {
            y = dense_block(g.b, y, block)?;
        }
        let y = g.b.add(ops::Scale(0.2), &[y])?;
        g.b.add(ops::Add, &[y, g.x()])
    }),
    ("clean ResBlock", clean_res_block),
    ("StyleGAN2 ResBlock", |g| {
        let x = g.x();
        let y = g.equal_conv("conv1.0.weight", x, 1, 1)?;
        let y = g.bias("conv1.1.bias", y).and_then(|y| g.b.scaled_leaky_relu(y))?;
        let y = blur(g, None, Padding::all(2), y)?;
        let y = g.equal_conv("conv2.1.weight", y, 2, 0)?;
        let y = g.bias("conv2.2.bias", y).and_then(|y| g.b.scaled_leaky_relu(y))?;
        let skip = blur(g, None, Padding::all(1), x)?;
        let skip = g.equal_conv("skip.1.weight", skip, 2, 0)?;
        mean_of_two(g.b, y, skip)
    }),
    ("GFPGANv1 ResUpBlock", |g| {
        let x = g.x();
        let y = g.equal_conv("conv1.0.weight", x, 1, 1)?;
        let y = g.bias("conv1.1.bias", y).and_then(|y| g.b.scaled_leaky_relu(y))?;
        let y = g.b.bilinear(y, 2.0)?;
        let y = g.equal_conv("conv2.weight", y, 1, 1)?;
        let y = g.bias("conv2.activation.bias", y).and_then(|y| g.b.scaled_leaky_relu(y))?;
        let skip = g.equal_conv("skip.weight", x, 1, 0)?;
        let skip = g.b.bilinear(skip, 2.0)?;
        mean_of_two(g.b, y, skip)
    }),
    ("sft", |g| {
        let half = g.meta["params"]["half"].as_bool().expect("half");
        let first_channel = if half { g.b.shape(g.x()).c / 2 } else { 0 };
        g.b.add(ops::Sft { first_channel }, &[g.x(), g.inputs["scale"], g.inputs["shift"]])
    }),
    ("StyleConv: ", |g| g.styled(FIR, "activate.bias")),
    ("StyleConv clean", |g| g.styled(CLEAN, "bias")),
    ("GPEN StyledConv", gpen_styled_conv),
    ("ToRGB: ", |g| g.add_to_rgb(FIR)),
    ("ToRGB clean", |g| g.add_to_rgb(CLEAN)),
    ("upfirdn2d", |g| {
        let params = &g.meta["params"];
        let number = |v: &Value| v.as_i64().expect("a number");
        let kernel = g.b.checkpoint().dims("kernel").expect("a kernel").to_vec();
        let kernel = g.b.param("kernel", &kernel, 1.0)?;
        let op = ops::Upfirdn2d {
            kernel,
            up: number(&params["up"]) as usize,
            down: number(&params["down"]) as usize,
            padding: Padding::pair(
                number(&params["pad"][0]) as i32,
                number(&params["pad"][1]) as i32,
            ),
        };
        g.b.add(op, &[g.x()])
    }),
];

const FIR: Family = Family { resample: Resample::Fir, equalised: true };
const CLEAN: Family = Family { resample: Resample::Bilinear, equalised: false };

/// Tensors of a case that are parameters although their name lacks the prefix `w.`.
const PARAMETERS: [&str; 3] = ["bias", "kernel", "noise"];

impl Golden<'_, '_> {
    fn x(&self) -> NodeId {
        self.inputs["x"]
    }

    fn number(&self, key: &str) -> f64 {
        self.meta["params"][key].as_f64().unwrap_or_else(|| panic!("{}: no {key}", self.case))
    }

    fn bias(&mut self, tensor: &str, x: NodeId) -> Result<NodeId> {
        let bias = self.b.param(tensor, &[self.b.shape(x).c], 1.0)?;
        self.b.add(ops::Bias(bias), &[x])
    }

    fn linear(&mut self, prefix: &str, out: usize) -> Result<NodeId> {
        let multiplier = self.number("lr_mul") as f32;
        let width = self.b.shape(self.x()).c;
        let scale = multiplier / (width as f32).sqrt();
        let weight = self.b.param(&format!("{prefix}weight"), &[out, width], scale)?;
        let bias = self.b.param(&format!("{prefix}bias"), &[out], multiplier)?;
        let y = self.b.add(ops::Linear(weight), &[self.x()])?;
        self.b.add(ops::Bias(bias), &[y])
    }

    fn equal_conv(&mut self, tensor: &str, x: NodeId, stride: usize, pad: i32) -> Result<NodeId> {
        let dims = self.b.checkpoint().dims(tensor).expect("a weight").to_vec();
        let fan_in: usize = dims[1..].iter().product();
        let weight = self.b.param(tensor, &dims, 1.0 / (fan_in as f32).sqrt())?;
        let padding = Padding::all(pad);
        let conv = Conv2d { weight, stride, padding, dilation: 1, groups: 1 };
        self.b.add(conv, &[x])
    }

    fn resize_to(&mut self, interpolation: Interpolation) -> Result<NodeId> {
        let size = &self.meta["params"]["size"];
        let from = self.b.shape(self.x());
        let [height, width] = [(0, from.h), (1, from.w)].map(|(i, from)| match size[i].as_u64() {
            Some(size) => size as usize,
            None => (from as f64 * self.number("scale")) as usize,
        });
        let step = [from.h as f32 / height as f32, from.w as f32 / width as f32];
        self.b.add(ops::Resize { height, width, interpolation, step }, &[self.x()])
    }

    fn modulated(&mut self, family: Family) -> Result<NodeId> {
        let dims = self.b.checkpoint().dims("weight").expect("a weight").to_vec();
        let [_, out, _, kernel, _] = dims[..] else { panic!("{dims:?}") };
        let sampling = match self.meta["params"]["sample_mode"].as_str() {
            Some("upsample") => Sampling::Up,
            Some("downsample") => Sampling::Down,
            _ => Sampling::Keep,
        };
        let names = Modulated {
            weight: "weight",
            modulation: "modulation",
            filter: None,
            out,
            kernel,
            sampling,
            demodulate: self.meta["params"]["demodulate"].as_bool().unwrap_or(true),
        };
        modulated_conv(self.b, family, self.x(), self.inputs["style"], names)
    }

    fn styled(&mut self, family: Family, bias: &str) -> Result<NodeId> {
        let dims = self.b.checkpoint().dims("modulated_conv.weight").expect("a weight").to_vec();
        let up = self.meta["params"]["sample_mode"] == "upsample";
        let names = Styled {
            conv: Modulated {
                weight: "modulated_conv.weight",
                modulation: "modulated_conv.modulation",
                filter: None,
                out: dims[1],
                kernel: 3,
                sampling: if up { Sampling::Up } else { Sampling::Keep },
                demodulate: true,
            },
            noise: Some(("noise", "weight")),
            bias,
        };
        styled_conv(self.b, family, self.x(), self.inputs["style"], names)
    }

    fn add_to_rgb(&mut self, family: Family) -> Result<NodeId> {
        let names = Modulated {
            weight: "modulated_conv.weight",
            modulation: "modulated_conv.modulation",
            filter: None,
            out: 3,
            kernel: 1,
            sampling: Sampling::Keep,
            demodulate: false,
        };
        let [style, skip] = [self.inputs["style"], self.inputs["skip"]];
        to_rgb(self.b, family, self.x(), style, names, "bias", Some(skip))
    }
}

fn blur(g: &mut Golden, stored: Option<&str>, padding: Padding, x: NodeId) -> Result<NodeId> {
    let kernel = match stored {
        Some(name) => g.b.param(name, &[4, 4], 1.0)?,
        None => fir_kernel(g.b, 1.0),
    };
    g.b.add(ops::Upfirdn2d { kernel, up: 1, down: 1, padding }, &[x])
}

fn mean_of_two(b: &mut Builder, y: NodeId, skip: NodeId) -> Result<NodeId> {
    let sum = b.add(ops::Add, &[y, skip])?;
    b.add(ops::Scale(std::f32::consts::FRAC_1_SQRT_2), &[sum])
}

fn dense_block(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let mut parts = vec![x];
    for layer in 1..=4 {
        let all = b.add(ops::Concat, &parts)?;
        let y = b.conv(all, &format!("{prefix}conv{layer}"), ConvSpec::same(3))?;
        parts.push(b.leaky_relu(y, 0.2)?);
    }
    let all = b.add(ops::Concat, &parts)?;
    let y = b.conv(all, &format!("{prefix}conv5"), ConvSpec::same(3))?;
    let y = b.add(ops::Scale(0.2), &[y])?;
    b.add(ops::Add, &[y, x])
}

fn clean_res_block(g: &mut Golden) -> Result<NodeId> {
    let factor = if g.meta["params"]["mode"] == "down" { 0.5 } else { 2.0 };
    let x = g.x();
    let y = g.b.conv(x, "conv1", ConvSpec::same(3)).and_then(|y| g.b.leaky_relu(y, 0.2))?;
    let y = g.b.bilinear(y, factor)?;
    let y = g.b.conv(y, "conv2", ConvSpec::same(3)).and_then(|y| g.b.leaky_relu(y, 0.2))?;
    let skip = g.b.bilinear(x, factor)?;
    let skip = g.b.conv(skip, "skip", ConvSpec::same(1).without_bias())?;
    g.b.add(ops::Add, &[y, skip])
}

fn gpen_styled_conv(g: &mut Golden) -> Result<NodeId> {
    let dims = g.b.checkpoint().dims("conv.weight").expect("a weight").to_vec();
    let up = g.meta["params"]["upsample"].as_bool().expect("upsample");
    let names = Modulated {
        weight: "conv.weight",
        modulation: "conv.modulation",
        filter: Some("conv.blur.kernel"),
        out: dims[1],
        kernel: 3,
        sampling: if up { Sampling::Up } else { Sampling::Keep },
        demodulate: true,
    };
    let y = modulated_conv(g.b, FIR, g.x(), g.inputs["style"], names)?;
    let strength = g.b.scalar("noise.weight")?;
    let feature = g.b.add(ops::Scale(strength), &[g.inputs["noise"]])?;
    let y = match g.meta["params"]["isconcat"].as_bool() {
        Some(true) => g.b.add(ops::Concat, &[y, feature])?,
        _ => g.b.add(ops::Add, &[y, feature])?,
    };
    let y = g.bias("activate.bias", y)?;
    g.b.scaled_leaky_relu(y)
}

/// Batch normalisation counts its training steps in integers.
fn is_counter(tensor: &str) -> bool {
    tensor.ends_with(".num_batches_tracked")
}

/// A tensor of any rank as the engine lays it out. Channels come second, behind the samples, and
/// what follows them are pixels: `[N, C, L]` is `[N, C, 1, L]`. Of a linear layer they come last:
/// `[N, L, C]` is `[N·L, C]`. Tokens `[T, N, C]` are pixels `[N, C, 1, T]`. One number per pixel is
/// `[1, 1, 1, T]`.
fn activation(meta: &Value, (dims, values): (Vec<usize>, Vec<f32>)) -> (Shape, Vec<f32>) {
    let tokens =
        meta["params"]["layout"].as_str().is_some_and(|layout| layout.starts_with("tokens"));
    let is_linear = meta["op"].as_str().is_some_and(|op| op.starts_with("equal_linear"));
    let shape = match dims[..] {
        [tokens] => Shape::new(1, 1, 1, tokens),
        [count, samples, channels] if tokens => {
            let at = |i: usize| {
                let (sample, rest) = (i / (channels * count), i % (channels * count));
                values[(rest % count * samples + sample) * channels + rest / count]
            };
            let values = (0..values.len()).map(at).collect();
            return (Shape::new(samples, channels, 1, count), values);
        }
        [.., channels] if is_linear => Shape::vector(values.len() / channels, channels),
        [n, c] => Shape::vector(n, c),
        [n, c, length] => Shape::new(n, c, 1, length),
        [n, c, h, w] => Shape::new(n, c, h, w),
        _ => panic!("{dims:?} is not an activation"),
    };
    (shape, values)
}

/// A case: a graph, what goes in, and what PyTorch made of it.
pub struct Case {
    pub graph: Graph,
    pub inputs: Vec<Vec<f32>>,
    pub expected: Vec<Vec<f32>>,
}

/// Builds one case from its `meta.json` and its tensors by name; `None` when no row of the table
/// claims it. `case` is its name in messages.
pub fn case(
    case: &str,
    meta: &Value,
    read: impl Fn(&str) -> (Vec<usize>, Vec<f32>),
) -> Option<Case> {
    let op = meta["op"].as_str().expect("an operation");
    let (_, build) = TABLE.iter().find(|(start, _)| op.starts_with(start))?;
    let tensors = meta["tensors"].as_object().expect("tensors");
    let feature_noise = op.starts_with("GPEN StyledConv");
    let is_parameter = |name: &str| {
        name.starts_with("w.") && !is_counter(name)
            || PARAMETERS.contains(&name) && !(feature_noise && name == "noise")
    };
    // With and without the prefix: blocks of networks ask for one.
    let weights = checkpoint(tensors.keys().filter(|n| is_parameter(n)).flat_map(|name| {
        let (dims, values) = read(name);
        let short = name.trim_start_matches("w.").to_owned();
        [(name.clone(), dims.clone(), values.clone()), (short, dims, values)]
    }));
    let mut b = Builder::new(&weights);
    let mut inputs = BTreeMap::new();
    let mut values = Vec::new();
    for name in tensors.keys().filter(|n| !is_parameter(n) && !is_counter(n)) {
        let (shape, data) = activation(meta, read(name));
        inputs.insert(name.clone(), b.graph.add_input(name, shape));
        values.push(data);
    }
    let mut outputs = vec!["output".to_owned()];
    let (first, others) = {
        let others = Vec::new();
        let mut golden = Golden { b: &mut b, others, inputs, meta, case };
        let first = build(&mut golden).unwrap_or_else(|e| panic!("{case}: {e}"));
        (first, golden.others)
    };
    b.graph.set_output(first);
    for (name, id) in others {
        outputs.push(format!("output_{name}"));
        b.graph.set_output(id);
    }
    let expected = outputs.iter().map(|name| activation(meta, read(name)).1).collect();
    Some(Case { graph: b.graph, inputs: values, expected })
}
