//! PyTorch's single operations: every case in `goldens/ops` whose name a row of [`TABLE`] claims,
//! by all executors. New cases of a known operation are picked up from the folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pentimento::Result;
use pentimento::graph::{Activation, Conv2d, Interpolation, NodeId, Op, Padding};
use pentimento::models::{bisenet, parsenet, retinaface};
use pentimento::nn::batch_norm::Normalised;
use pentimento::nn::stylegan2::{
    Family, Modulated, Resample, Sampling, Styled, fir_kernel, modulated_conv, styled_conv, to_rgb,
};
use pentimento::nn::{Builder, ConvSpec};
use serde_json::Value;

use crate::harness::{F16, F32};
use crate::support::{
    self, Executor, checkpoint, folders, json, largest_error, name, npy, relative_error, shape,
};

/// A golden under construction: its parameters, and a builder that knows its tensors.
struct Golden<'a, 'b> {
    b: &'b mut Builder<'a>,
    inputs: BTreeMap<String, NodeId>,
    meta: &'b Value,
    case: &'b str,
}

type Build = fn(&mut Golden) -> Result<NodeId>;

/// Prefix of the case's name, and how to build it. Cases without a row belong to operations that
/// the engine does not have.
const TABLE: &[(&str, Build)] = &[
    ("avgpool_global_", |g| g.b.add(Op::AdaptiveAvgPool2d { height: 1, width: 1 }, &[g.x()])),
    ("bisenet_arm", |g| bisenet::refine(g.b, g.x(), "")),
    ("conv_dw_", |g| {
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
    ("maxpool_", |g| {
        let [kernel, stride, padding] = ["k", "stride", "pad"].map(|key| g.number(key) as usize);
        g.b.add(Op::MaxPool2d { kernel, stride, padding }, &[g.x()])
    }),
    ("parsenet_res_down", |g| parsenet::res_block(g.b, g.x(), "", parsenet::Scale::Half)),
    ("parsenet_res_up", |g| parsenet::res_block(g.b, g.x(), "", parsenet::Scale::Double)),
    ("reflect_pad1_", |g| g.b.add(Op::ReflectPad(Padding::all(1)), &[g.x()])),
    ("reflect_pad_rb_", |g| {
        let [right, bottom] = ["right", "bottom"].map(|key| g.number(key) as i32);
        let padding = Padding { top: 0, bottom, left: 0, right };
        g.b.add(Op::ReflectPad(padding), &[g.x()])
    }),
    ("ssh_", |g| {
        let width = 2 * g.b.checkpoint().rows("conv3X3.0.weight")?;
        retinaface::context(g.b, g.x(), "", width)
    }),
    ("bilinear_size_ac1_", |g| g.resize_to(Interpolation::BilinearAlignCorners)),
    ("bilinear_up2_", |g| g.b.bilinear(g.x(), 2.0)),
    ("bilinear_down2_", |g| g.b.bilinear(g.x(), 0.5)),
    ("nearest_up2_", |g| g.b.nearest(g.x(), 2)),
    ("nearest_size_", |g| g.resize_to(Interpolation::Nearest)),
    ("convlayer_down_gpen", |g| {
        let y = blur(g, Some("0.kernel"), Padding::all(2), g.x())?;
        let y = g.equal_conv("1.weight", y, 2, 0)?;
        g.bias("2.bias", y).and_then(|y| g.b.scaled_leaky_relu(y))
    }),
    ("downsample_asym", |g| {
        let (x, c) = (g.x(), g.b.shape(g.x()).c);
        let weight = g.b.param("conv.weight", &[c, c, 3, 3], 1.0)?;
        let padding = Padding::pair(0, 1);
        let conv = Conv2d { weight, stride: 2, padding, dilation: 1, groups: 1 };
        let y = g.b.add(Op::Conv2d(conv), &[x])?;
        g.bias("conv.bias", y)
    }),
    ("equal_conv_", |g| {
        let (stride, pad) = (g.number("stride"), g.number("padding"));
        let y = g.equal_conv("weight", g.x(), stride as usize, pad as i32)?;
        g.bias("bias", y)
    }),
    ("equal_linear_", |g| {
        let out = g.b.checkpoint().rows("weight")?;
        let y = g.linear("", out)?;
        match g.meta["params"]["activation"].as_str() {
            Some("fused_lrelu") => g.b.scaled_leaky_relu(y),
            _ => Ok(y),
        }
    }),
    ("fused_leaky_relu_", |g| {
        let y = g.bias("bias", g.x())?;
        g.b.scaled_leaky_relu(y)
    }),
    ("scaled_leaky_relu", |g| g.b.scaled_leaky_relu(g.x())),
    ("modconv_blur_", |g| g.modulated(FIR)),
    ("modconv_clean_eps", |g| g.modulated(CLEAN)),
    ("modconv_clean_", |g| g.modulated(CLEAN)),
    ("pixel_norm", |g| g.b.add(Op::PixelNorm, &[g.x()])),
    ("pixel_shuffle_", |g| g.b.add(Op::PixelShuffle(g.number("r") as usize), &[g.x()])),
    ("pixel_unshuffle_", |g| g.b.add(Op::PixelUnshuffle(g.number("r") as usize), &[g.x()])),
    ("prelu", |g| {
        let slope = g.b.param("weight", &[g.b.shape(g.x()).c], 1.0)?;
        g.b.add(Op::Activation(Activation::Prelu(slope)), &[g.x()])
    }),
    ("rdb", |g| dense_block(g.b, g.x(), "")),
    ("rrdb", |g| {
        let mut y = g.x();
        for block in ["rdb1.", "rdb2.", "rdb3."] {
            y = dense_block(g.b, y, block)?;
        }
        let y = g.b.add(Op::Scale(0.2), &[y])?;
        g.b.add(Op::Add, &[y, g.x()])
    }),
    ("resblock_clean_", clean_res_block),
    ("resblock_stylegan2_down", |g| {
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
    ("resupblock_v1", |g| {
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
    ("sft_", |g| {
        let half = g.meta["params"]["half"].as_bool().expect("half");
        let first_channel = if half { g.b.shape(g.x()).c / 2 } else { 0 };
        g.b.add(Op::Sft { first_channel }, &[g.x(), g.inputs["scale"], g.inputs["shift"]])
    }),
    ("style_conv_blur_", |g| g.styled(FIR, "activate.bias")),
    ("style_conv_clean_", |g| g.styled(CLEAN, "bias")),
    ("styled_conv_gpen_", gpen_styled_conv),
    ("to_rgb_blur", |g| g.add_to_rgb(FIR)),
    ("to_rgb_clean", |g| g.add_to_rgb(CLEAN)),
    ("upfirdn2d_", |g| {
        let params = &g.meta["params"];
        let number = |v: &Value| v.as_i64().expect("a number");
        let kernel = g.b.checkpoint().dims("kernel").expect("a kernel").to_vec();
        let kernel = g.b.param("kernel", &kernel, 1.0)?;
        let op = Op::Upfirdn2d {
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
        self.b.add(Op::Bias(bias), &[x])
    }

    fn linear(&mut self, prefix: &str, out: usize) -> Result<NodeId> {
        let multiplier = self.number("lr_mul") as f32;
        let width = self.b.shape(self.x()).c;
        let scale = multiplier / (width as f32).sqrt();
        let weight = self.b.param(&format!("{prefix}weight"), &[out, width], scale)?;
        let bias = self.b.param(&format!("{prefix}bias"), &[out], multiplier)?;
        let y = self.b.add(Op::Linear(weight), &[self.x()])?;
        self.b.add(Op::Bias(bias), &[y])
    }

    fn equal_conv(&mut self, tensor: &str, x: NodeId, stride: usize, pad: i32) -> Result<NodeId> {
        let dims = self.b.checkpoint().dims(tensor).expect("a weight").to_vec();
        let fan_in: usize = dims[1..].iter().product();
        let weight = self.b.param(tensor, &dims, 1.0 / (fan_in as f32).sqrt())?;
        let padding = Padding::all(pad);
        let conv = Conv2d { weight, stride, padding, dilation: 1, groups: 1 };
        self.b.add(Op::Conv2d(conv), &[x])
    }

    fn resize_to(&mut self, interpolation: Interpolation) -> Result<NodeId> {
        let size = &self.meta["params"]["size"];
        let [height, width] = [0, 1].map(|i| size[i].as_u64().expect("a size") as usize);
        let from = self.b.shape(self.x());
        let step = [from.h as f32 / height as f32, from.w as f32 / width as f32];
        self.b.add(Op::Resize { height, width, interpolation, step }, &[self.x()])
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
    g.b.add(Op::Upfirdn2d { kernel, up: 1, down: 1, padding }, &[x])
}

fn mean_of_two(b: &mut Builder, y: NodeId, skip: NodeId) -> Result<NodeId> {
    let sum = b.add(Op::Add, &[y, skip])?;
    b.add(Op::Scale(std::f32::consts::FRAC_1_SQRT_2), &[sum])
}

fn dense_block(b: &mut Builder, x: NodeId, prefix: &str) -> Result<NodeId> {
    let mut parts = vec![x];
    for layer in 1..=4 {
        let all = b.add(Op::Concat, &parts)?;
        let y = b.conv(all, &format!("{prefix}conv{layer}"), ConvSpec::same(3))?;
        parts.push(b.leaky_relu(y, 0.2)?);
    }
    let all = b.add(Op::Concat, &parts)?;
    let y = b.conv(all, &format!("{prefix}conv5"), ConvSpec::same(3))?;
    let y = b.add(Op::Scale(0.2), &[y])?;
    b.add(Op::Add, &[y, x])
}

fn clean_res_block(g: &mut Golden) -> Result<NodeId> {
    let factor = if g.meta["params"]["mode"] == "down" { 0.5 } else { 2.0 };
    let x = g.x();
    let y = g.b.conv(x, "conv1", ConvSpec::same(3)).and_then(|y| g.b.leaky_relu(y, 0.2))?;
    let y = g.b.bilinear(y, factor)?;
    let y = g.b.conv(y, "conv2", ConvSpec::same(3)).and_then(|y| g.b.leaky_relu(y, 0.2))?;
    let skip = g.b.bilinear(x, factor)?;
    let skip = g.b.conv(skip, "skip", ConvSpec::same(1).without_bias())?;
    g.b.add(Op::Add, &[y, skip])
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
    let feature = g.b.add(Op::Scale(strength), &[g.inputs["noise"]])?;
    let y = match g.meta["params"]["isconcat"].as_bool() {
        Some(true) => g.b.add(Op::Concat, &[y, feature])?,
        _ => g.b.add(Op::Add, &[y, feature])?,
    };
    let y = g.bias("activate.bias", y)?;
    g.b.scaled_leaky_relu(y)
}

/// Batch normalisation counts its training steps in integers.
fn is_counter(tensor: &str) -> bool {
    tensor.ends_with(".num_batches_tracked")
}

/// Cases of steps behind the network, and of several outputs: tests/networks/detect.rs.
const ELSEWHERE: [&str; 3] = ["fpn_odd", "nms", "priors_decode_"];

/// Runs one case; `None` when no row of the table claims it.
fn check(folder: &Path) -> Option<Vec<String>> {
    let case = name(folder);
    let (_, build) = TABLE.iter().find(|(prefix, _)| case.starts_with(prefix))?;
    let meta = json(&folder.join("meta.json"));
    let tensors = meta["tensors"].as_object().expect("tensors");
    let feature_noise = case.starts_with("styled_conv_gpen_");
    let is_parameter = |name: &str| {
        name.starts_with("w.") && !is_counter(name)
            || PARAMETERS.contains(&name) && !(feature_noise && name == "noise")
    };
    let read = |name: &str| npy(&folder.join(format!("{name}.npy")));
    let weights = checkpoint(tensors.keys().filter(|n| is_parameter(n)).map(|name| {
        let (dims, values) = read(name);
        (name.trim_start_matches("w.").to_owned(), dims, values)
    }));
    let mut b = Builder::new(&weights);
    let mut inputs = BTreeMap::new();
    let mut values = Vec::new();
    for name in tensors.keys().filter(|n| !is_parameter(n) && !is_counter(n)) {
        let (dims, data) = read(name);
        inputs.insert(name.clone(), b.graph.add_input(name, shape(&dims)));
        values.push(data);
    }
    let output = {
        let mut golden = Golden { b: &mut b, inputs, meta: &meta, case: &case };
        build(&mut golden).unwrap_or_else(|e| panic!("{case}: {e}"))
    };
    let graph = Arc::new(b.finish(output));
    let inputs: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let (_, expected) = npy(&folder.join("output.npy"));
    let mut failures = Vec::new();
    for executor in [Executor::Twins, Executor::Cpu, Executor::Gpu, Executor::GpuF16] {
        let Some(actual) = support::run(&graph, executor, &inputs) else { continue };
        let error = relative_error(&actual[0], &expected);
        // Weights so small that only the epsilon is left of them vanish in f16.
        if executor == Executor::GpuF16 && case == "modconv_clean_eps" {
            continue;
        }
        let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
        if error > tolerance {
            let largest = largest_error(&actual[0], &expected);
            failures.push(format!("{case} {executor:?}: {error:.2e} (largest {largest:.2e})"));
        }
    }
    Some(failures)
}

#[test]
fn all_executors_agree_with_pytorch() {
    let Some(shared) = support::shared() else { return };
    let mut failures = Vec::new();
    let (mut ran, mut others) = (0, Vec::new());
    for folder in folders(&shared.join("goldens/ops")) {
        match check(&folder) {
            Some(failed) => {
                ran += 1;
                failures.extend(failed);
            }
            None if ELSEWHERE.iter().any(|prefix| name(&folder).starts_with(prefix)) => {}
            None => others.push(name(&folder)),
        }
    }
    eprintln!("{ran} cases ran; of operations that are not built: {}", others.join(" "));
    assert!(ran >= 100, "only {ran} cases were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
