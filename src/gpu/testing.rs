//! What the tests of this folder share: a device, random tensors, and plain loops over a graph.

mod cases;
#[cfg(feature = "cli")]
mod contract;
#[cfg(feature = "cli")]
mod translations;

use std::sync::{Arc, OnceLock};

use super::{Device, DeviceOptions, Executor};
use crate::graph::{Activation, Conv2d, Graph, Interpolation, NodeId, Op, Param, ParamId};
use crate::plan::{Kernel, Plan, Target};
use crate::tensor::{Dtype, Shape};

/// The device of all tests, any will do; none where the machine has none.
pub fn device() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let options = DeviceOptions { allow_software: true, ..Default::default() };
    DEVICE.get_or_init(|| Device::open_blocking(&options).ok()).as_ref()
}

/// `len` values in -1..1, the same ones for the same `seed`.
pub fn random(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// A random parameter of `graph`.
pub fn param(graph: &mut Graph, dims: &[usize]) -> ParamId {
    let seed = graph.params().len() as u32 + 100;
    let values = random(seed, dims.iter().product());
    graph.add_param(Param::from_values(format!("p{seed}"), dims.to_vec(), &values))
}

/// A plan of `graph` whose convolutions run on kernels of this folder.
pub fn plan(graph: Graph, target: Target) -> Plan {
    let mut plan = Plan::new(Arc::new(graph), target).unwrap();
    for step in &mut plan.steps {
        if matches!(step.kernel, Kernel::ConvGemm | Kernel::ConvWinograd) {
            step.kernel = Kernel::ConvDirect;
        }
    }
    plan
}

/// Compares the outputs of `build`'s graph on the device, in f32 and f16, with plain loops.
pub fn check(build: impl Fn() -> Graph) {
    let Some(device) = device() else { return };
    for dtype in [Dtype::F32, Dtype::F16] {
        let target = device.target(dtype);
        if target.dtype != dtype {
            continue;
        }
        let graph = build();
        let inputs: Vec<_> = (0..)
            .zip(graph.inputs())
            .map(|(seed, &id)| random(seed, graph.shape(id).len()))
            .collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let expected = reference(&graph, &inputs);
        let plan = Arc::new(plan(graph, target));
        let mut executor = Executor::new_blocking(device, plan).unwrap();
        let outputs = executor.run_blocking(&inputs).unwrap();
        let bound = if dtype == Dtype::F32 { 1e-5 } else { 2e-3 };
        for (output, expected) in outputs.iter().zip(&expected) {
            let error = relative_error(output, expected);
            assert!(error <= bound, "{dtype}: relative error {error}");
        }
    }
}

/// `‖a - b‖ / ‖b‖`
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (difference / b.iter().map(|&b| square(b)).sum::<f64>().max(1e-30)).sqrt()
}

/// The outputs of `graph`, node by node in plain loops.
fn reference(graph: &Graph, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<f32>> = Vec::new();
    let mut next_input = inputs.iter();
    for node in graph.nodes() {
        let input = |i: usize| {
            let id: NodeId = node.inputs[i];
            let (values, s) = (&values[id.index()], graph.shape(id));
            move |n: usize, c: usize, h: usize, w: usize| {
                values[((n * s.c + c) * s.h + h) * s.w + w]
            }
        };
        let p = |id: ParamId| graph.param(id).to_f32();
        let y = node.shape;
        let x_shape = node.inputs.first().map_or(y, |&id| graph.shape(id));
        values.push(match &node.op {
            Op::Input => next_input.next().unwrap().to_vec(),
            Op::Constant { value, .. } => p(*value).repeat(y.n),
            Op::Conv2d(conv) => {
                let w = p(conv.weight);
                convolve(graph, conv, &w, x_shape, y, &input(0), &|_, _| 1.0, &|_, _| 1.0)
            }
            Op::ModulatedConv2d { conv, demodulate, transposed: false } => {
                let w = p(conv.weight);
                let taps = w.len() / y.c / x_shape.c;
                let style = |n, i| input(1)(n, i, 0, 0);
                let factor = |n, o| {
                    let square = |k| {
                        let v: f32 = w[o * taps * x_shape.c + k] * style(n, k / taps);
                        v * v
                    };
                    let sum: f32 = (0..taps * x_shape.c).map(square).sum();
                    if *demodulate { (sum + 1e-8).sqrt().recip() } else { 1.0 }
                };
                let factors: Vec<f32> =
                    (0..y.n * y.c).map(|at| factor(at / y.c, at % y.c)).collect();
                let demodulation = |n: usize, o: usize| factors[n * y.c + o];
                convolve(graph, conv, &w, x_shape, y, &input(0), &style, &demodulation)
            }
            Op::Linear(weight) => {
                let (w, x) = (p(*weight), &values[node.inputs[0].index()]);
                let len = x_shape.sample();
                let dot = |n: usize, o: usize| -> f32 {
                    (0..len).map(|i| w[o * len + i] * x[n * len + i]).sum()
                };
                fill(y, |n, o, _, _| dot(n, o))
            }
            Op::PixelNorm => fill(y, |n, c, h, w| {
                let x = input(0);
                let sum: f32 = (0..y.c).map(|i| x(n, i, h, w) * x(n, i, h, w)).sum();
                x(n, c, h, w) / (sum / y.c as f32 + 1e-8).sqrt()
            }),
            Op::Upfirdn2d { kernel, up, down, padding } => {
                let (k, dims) = (p(*kernel), &graph.param(*kernel).dims);
                let at = |i: usize, u: usize, before: i32, size: usize| {
                    let at = (i * down + u).checked_sub(before as usize)?;
                    (at % up == 0 && at / up < size).then_some(at / up)
                };
                fill(y, |n, c, h, w| {
                    let mut sum = 0.0;
                    for u in 0..dims[0] {
                        for v in 0..dims[1] {
                            if let Some(h) = at(h, u, padding.top, x_shape.h)
                                && let Some(w) = at(w, v, padding.left, x_shape.w)
                            {
                                let tap = (dims[0] - 1 - u) * dims[1] + dims[1] - 1 - v;
                                sum += k[tap] * input(0)(n, c, h, w);
                            }
                        }
                    }
                    sum
                })
            }
            Op::Resize { interpolation, step, .. } => {
                let source = |at: usize, step: f32, from: usize, to: usize| match interpolation {
                    Interpolation::Nearest => (at as f32 * step).floor(),
                    Interpolation::Bilinear => ((at as f32 + 0.5) * step - 0.5).max(0.0),
                    Interpolation::BilinearAlignCorners => {
                        at as f32 * (from - 1) as f32 / (to.max(2) - 1) as f32
                    }
                };
                fill(y, |n, c, h, w| {
                    let (h, w) =
                        (source(h, step[0], x_shape.h, y.h), source(w, step[1], x_shape.w, y.w));
                    let (th, tw) = (h.fract(), w.fract());
                    let x = |h: f32, w: f32| {
                        let (h, w) = (h as usize, w as usize);
                        input(0)(n, c, h.min(x_shape.h - 1), w.min(x_shape.w - 1))
                    };
                    let row = |h| (1.0 - tw) * x(h, w) + tw * x(h, w + 1.0);
                    (1.0 - th) * row(h) + th * row(h + 1.0)
                })
            }
            Op::PixelShuffle(r) => {
                fill(y, |n, c, h, w| input(0)(n, (c * r + h % r) * r + w % r, h / r, w / r))
            }
            Op::PixelUnshuffle(r) => {
                fill(y, |n, c, h, w| input(0)(n, c / (r * r), h * r + c / r % r, w * r + c % r))
            }
            Op::Activation(activation) => {
                let slopes = match activation {
                    Activation::Prelu(slopes) => p(*slopes),
                    _ => Vec::new(),
                };
                fill(y, |n, c, h, w| {
                    let v = input(0)(n, c, h, w);
                    let leaky = |slope: f32| if v > 0.0 { v } else { slope * v };
                    match *activation {
                        Activation::Identity => v,
                        Activation::LeakyRelu(slope) => leaky(slope),
                        Activation::Prelu(_) => leaky(slopes[c]),
                        Activation::Silu => v / (1.0 + (-v).exp()),
                        Activation::Sigmoid => 1.0 / (1.0 + (-v).exp()),
                        Activation::Tanh => v.tanh(),
                        Activation::Gelu => 0.5 * v * (1.0 + libm::erff(v / 2f32.sqrt())),
                        Activation::Clamp(low, high) => v.clamp(low, high),
                    }
                })
            }
            Op::Bias(bias) => fill(y, |n, c, h, w| input(0)(n, c, h, w) + p(*bias)[c]),
            Op::Noise { noise, strength } => {
                let noise = p(*noise);
                fill(y, |n, c, h, w| input(0)(n, c, h, w) + strength * noise[h * y.w + w])
            }
            Op::Scale(factor) => fill(y, |n, c, h, w| factor * input(0)(n, c, h, w)),
            Op::Add => fill(y, |n, c, h, w| input(0)(n, c, h, w) + input(1)(n, c, h, w)),
            Op::Sft { first_channel: first } => fill(y, |n, c, h, w| {
                let v = input(0)(n, c, h, w);
                match c.checked_sub(*first) {
                    Some(k) => v * input(1)(n, k, h, w) + input(2)(n, k, h, w),
                    None => v,
                }
            }),
            Op::Concat => fill(y, |n, mut c, h, w| {
                for (i, &id) in node.inputs.iter().enumerate() {
                    if c < graph.shape(id).c {
                        return input(i)(n, c, h, w);
                    }
                    c -= graph.shape(id).c;
                }
                unreachable!()
            }),
            Op::Slice { start, .. } => fill(y, |n, c, h, w| input(0)(n, start + c, h, w)),
            &Op::MaxPool2d { kernel, stride, padding } => fill(y, |n, c, h, w| {
                let taps = (0..kernel * kernel).filter_map(|tap| {
                    let h = (h * stride + tap / kernel).checked_sub(padding)?;
                    let w = (w * stride + tap % kernel).checked_sub(padding)?;
                    (h < x_shape.h && w < x_shape.w).then(|| input(0)(n, c, h, w))
                });
                taps.fold(f32::MIN, f32::max)
            }),
            Op::AdaptiveAvgPool2d { .. } => fill(y, |n, c, h, w| {
                let rows = h * x_shape.h / y.h..((h + 1) * x_shape.h).div_ceil(y.h);
                let columns = w * x_shape.w / y.w..((w + 1) * x_shape.w).div_ceil(y.w);
                let pixels = (rows.len() * columns.len()) as f32;
                let row = |h| columns.clone().map(|w| input(0)(n, c, h, w)).sum::<f32>();
                rows.map(row).sum::<f32>() / pixels
            }),
            Op::ReflectPad(padding) => fill(y, |n, c, h, w| {
                let mirror = |at: usize, before: i32, size: usize| {
                    let at = (at as i32 - before).unsigned_abs() as usize;
                    at.min((2 * (size - 1)).wrapping_sub(at))
                };
                let h = mirror(h, padding.top, x_shape.h);
                input(0)(n, c, h, mirror(w, padding.left, x_shape.w))
            }),
            Op::ScaleChannels => fill(y, |n, c, h, w| input(0)(n, c, h, w) * input(1)(n, c, 0, 0)),
            op => panic!("{op:?} is compared with its twin in tests/ops"),
        });
    }
    graph.outputs().iter().map(|id| values[id.index()].clone()).collect()
}

fn fill(y: Shape, f: impl Fn(usize, usize, usize, usize) -> f32) -> Vec<f32> {
    let at = |i: usize| f(i / y.sample(), i / y.plane() % y.c, i / y.w % y.h, i % y.w);
    (0..y.len()).map(at).collect()
}

#[expect(clippy::too_many_arguments, reason = "one caller per kind of convolution")]
fn convolve(
    graph: &Graph,
    conv: &Conv2d,
    weight: &[f32],
    x_shape: Shape,
    y: Shape,
    x: &impl Fn(usize, usize, usize, usize) -> f32,
    style: &impl Fn(usize, usize) -> f32,
    demodulation: &impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let [outputs, inputs, kh, kw] = graph.param(conv.weight).dims[..] else { unreachable!() };
    let at = |i: usize, u: usize, before: i32, size: usize| {
        let at = (i * conv.stride + u * conv.dilation).checked_sub(before as usize)?;
        (at < size).then_some(at)
    };
    fill(y, |n, o, h, w| {
        let first = o / (outputs / conv.groups) * inputs;
        let mut sum = 0.0;
        for k in 0..inputs * kh * kw {
            let (i, u, v) = (k / (kh * kw), k / kw % kh, k % kw);
            if let Some(h) = at(h, u, conv.padding.top, x_shape.h)
                && let Some(w) = at(w, v, conv.padding.left, x_shape.w)
            {
                let c = first + i;
                sum += weight[(o * inputs + i) * kh * kw + k % (kh * kw)]
                    * style(n, c)
                    * x(n, c, h, w);
            }
        }
        sum * demodulation(n, o)
    })
}
