//! The kernels that are measured: every distinct step of the networks' plans, and one op each for
//! the kernels that none of them runs.

use std::collections::HashMap;
use std::sync::Arc;

use super::networks::NETWORKS;
use super::weights::Weights;
use crate::Result;
use crate::engine::Engine;
use crate::graph::ops::{self, Layer};
use crate::graph::{Conv2d, Graph, NodeId, Op, Padding, ParamId};
use crate::plan::{Plan, Step, Upsample, Variant, Work, scratch_len};
use crate::tensor::Shape;

/// In the place of a network: single layers that `tools/peers` compares.
const LAYERS: &str = "layers";

/// A kernel on a shape.
#[derive(Clone, Debug)]
pub struct KernelCase {
    /// What it computes and on what shape; the same on every device.
    pub name: String,
    /// Which kernel does it on this device.
    pub variant: Variant,
    /// The networks that need it.
    pub networks: Vec<&'static str>,
    /// What it costs.
    pub work: Work,
    plan: Arc<Plan>,
    step: usize,
}

impl KernelCase {
    /// The same by every variant that can compute it, the chosen one first. Their names say which.
    ///
    /// # Errors
    /// As [`Plan::candidates`].
    pub fn variants(&self) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        for variant in self.plan.candidates(self.step)? {
            let mut plan = Plan::clone(&self.plan);
            let step = &mut plan.steps[self.step];
            step.variant = variant.clone();
            // Working memory is placed for the chosen variant alone.
            if step.scratch.is_none() && scratch_len(step, &plan.target) > 0 {
                continue;
            }
            let name = format!("{}, {variant}", self.name);
            cases.push(Self { name, variant, plan: Arc::new(plan), ..self.clone() });
        }
        Ok(cases)
    }

    /// A plan that computes it `copies` times.
    pub fn plan(&self, copies: usize) -> Plan {
        self.plan.isolated(self.step, copies)
    }
}

/// Every kernel case for `engine`. Networks whose intermediates its device cannot hold are left
/// out, with a warning in the log.
///
/// # Errors
/// As [`Network::model`](super::Network::model).
pub fn kernels(engine: &Engine) -> Result<Vec<KernelCase>> {
    planned(|graph| engine.plan(graph))
}

/// The graphs of all networks, and one of each op that none of them runs.
pub(super) fn graphs() -> Result<Vec<(&'static str, Graph)>> {
    let mut graphs = Vec::new();
    for network in NETWORKS {
        let model = network.model()?;
        let [h, w] = network.size;
        graphs.push((network.name, model.graph(model.input_shape(h, w))?));
    }
    graphs.extend(others());
    Ok(graphs)
}

/// The plan of a network, or of single layers, whose inputs and outputs then lie as within one.
pub(super) fn as_within(network: &str, mut plan: Plan) -> Plan {
    if network == LAYERS {
        plan.arrange_all_but(&[]);
    }
    plan
}

/// Every kernel case of the plans that `plan` makes.
fn planned(plan: impl Fn(Graph) -> Result<Plan>) -> Result<Vec<KernelCase>> {
    let mut cases: Vec<KernelCase> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (network, graph) in graphs()? {
        let plan = match plan(graph) {
            Ok(plan) => Arc::new(as_within(network, plan)),
            Err(error) => {
                log::warn!("{network} is left out: {error}");
                continue;
            }
        };
        for (index, step) in plan.steps.iter().enumerate() {
            let (name, work) = (case_name(network, step, &plan), plan.work(step));
            let at = *known.entry(name.clone()).or_insert(cases.len());
            if at == cases.len() {
                cases.push(KernelCase {
                    name,
                    variant: step.variant.clone(),
                    networks: vec![network],
                    work,
                    plan: plan.clone(),
                    step: index,
                });
                continue;
            }
            let case = &mut cases[at];
            if !case.networks.contains(&network) {
                case.networks.push(network);
            }
            // Of steps that differ in what is fused behind them, the one that moves most.
            if work.bytes > case.work.bytes {
                (case.work, case.plan, case.step) = (work, plan.clone(), index);
                case.variant = step.variant.clone();
            }
        }
    }
    Ok(cases)
}

/// The name of a network's step, by which it is asked for.
pub(super) fn case_name(network: &str, step: &Step, plan: &Plan) -> String {
    // Their weights are known to others: no network's step stands for them.
    let layer = if network == LAYERS { "layer " } else { "" };
    format!("{layer}{}", name(step, plan))
}

/// "conv3x3 512-512 @64x64": what it computes, channels in and out, size of the output.
fn name(step: &Step, plan: &Plan) -> String {
    let (x, y) = (step.input_shape(), step.output.shape);
    let side = |id: ParamId| {
        let dims = &plan.graph.param(id).dims;
        format!("{}x{}", dims[dims.len() - 2], dims[dims.len() - 1])
    };
    let mut more = Vec::new();
    match step.upsample {
        Upsample::None => {}
        Upsample::Nearest => more.push("nearest2".to_owned()),
        Upsample::Bilinear => more.push("bilinear2".to_owned()),
    }
    let what = match &step.op {
        Op::Conv2d(conv) | Op::ModulatedConv2d(ops::ModulatedConv2d { conv, .. }) => {
            if step.op.is_modulated() {
                more.push("modulated".to_owned());
            }
            for (value, letter) in [(conv.stride, "s"), (conv.dilation, "d"), (conv.groups, "g")] {
                if value > 1 {
                    more.push(format!("{letter}{value}"));
                }
            }
            format!("conv{}", side(conv.weight))
        }
        Op::ModulatedConvTranspose2d(op) => {
            more.push("modulated".to_owned());
            format!("conv_transpose{}", side(op.conv.weight))
        }
        Op::MultiPathConv(op) => format!("multi_path_conv {} paths", op.0.len()),
        Op::Resize(_) => format!("resize {}x{}", x.h, x.w),
        Op::PixelShuffle(ops::PixelShuffle(factor))
        | Op::PixelUnshuffle(ops::PixelUnshuffle(factor)) => format!("{} {factor}", step.op.name()),
        Op::Upfirdn2d(ops::Upfirdn2d { kernel, up, down, .. }) => {
            format!("upfirdn2d{} up{up} down{down}", side(*kernel))
        }
        Op::Attention(op) => format!("attention {} heads", op.heads),
        Op::WindowAttention(op) => {
            let [rows, columns] = op.window;
            format!("window_attention {rows}x{columns}, {} heads", op.heads)
        }
        Op::ChannelAttention(op) => format!("channel_attention {} heads", op.heads),
        Op::WindowPartition(op) => {
            let [rows, columns] = op.windows;
            let how = if op.dilated { " dilated" } else { "" };
            let way = if op.reverse { " reverse" } else { "" };
            format!("window_partition {rows}x{columns}{how}{way}")
        }
        op => op.name().to_owned(),
    };
    if y.n > 1 {
        more.push(format!("batch {}", y.n));
    }
    let size = if y.plane() == 1 { String::new() } else { format!(" @{}x{}", y.h, y.w) };
    let more: String = more.iter().map(|part| format!(" {part}")).collect();
    format!("{what} {}-{}{size}{more}", x.c, y.c)
}

/// One op each, on shapes of networks that are not in the table themselves.
fn others() -> Vec<(&'static str, Graph)> {
    let one = |shape: Shape, add: &dyn Fn(&mut Graph, NodeId) -> Option<NodeId>| {
        let mut graph = Graph::new();
        let x = graph.add_input("x", shape);
        let y = add(&mut graph, x)?;
        graph.set_output(y);
        Some(graph)
    };
    let param = |graph: &mut Graph, dims: &[usize]| -> ParamId {
        let mut weights = Weights::default();
        weights.weight("weight", dims, 1.0);
        let param = weights.into_tensors().remove(0);
        graph.add_param(param)
    };
    let at = Shape::new;
    // What `tools/peers` compares layer by layer: GFPGAN's 3×3 convolutions, with a bias alone.
    let plain = [(512, 32), (512, 64), (256, 128), (128, 256), (64, 512)].map(|(c, side)| {
        let graph = one(at(1, c, side, side), &|g, x| {
            let weight = param(g, &[c, c, 3, 3]);
            let bias = param(g, &[c]);
            let y = g.add(Conv2d::same(weight, 3), &[x]).ok()?;
            g.add(ops::Bias(bias), &[y]).ok()
        });
        (LAYERS, graph)
    });
    let graphs = [
        (
            "codeformer-512",
            one(at(1, 512, 16, 16), &|g, x| g.add(ops::Attention { heads: 8 }, &[x, x, x]).ok()),
        ),
        (
            "swinir-real-256",
            one(at(1, 180, 256, 256), &|g, x| {
                let bias = param(g, &[6, 15, 15]);
                let (window, offset) = ([8, 8], [4, 4]);
                let op = ops::WindowAttention { heads: 6, window, offset, margin: 0, bias };
                g.add(op, &[x, x, x]).ok()
            }),
        ),
        (
            "dat-256",
            one(at(1, 180, 256, 256), &|g, x| {
                let temperature = param(g, &[6]);
                g.add(ops::ChannelAttention { heads: 6, temperature }, &[x, x, x]).ok()
            }),
        ),
        (
            "omnisr-256",
            one(at(1, 192, 256, 256), &|g, x| {
                let windows = [32; 2];
                let op = ops::WindowPartition { windows, dilated: true, reverse: false };
                g.add(op, &[x]).ok()
            }),
        ),
        (
            "codeformer-512",
            one(at(1, 512, 16, 16), &|g, x| {
                let weight = param(g, &[512]);
                g.add(ops::LayerNorm { epsilon: 1e-5, weight }, &[x]).ok()
            }),
        ),
        ("codeformer-512", one(at(1, 1024, 16, 16), &|g, x| g.add(ops::ArgMax, &[x]).ok())),
        (
            "gfpgan-512",
            one(at(1, 512, 1, 1), &|g, x| {
                let weight = param(g, &[512, 512, 3, 3]);
                g.add(ops::Demodulate(weight), &[x]).ok()
            }),
        ),
        (
            "gfpgan-512",
            one(at(1, 1024, 1, 1), &|g, x| {
                let layer = |first| Layer { weight: param(g, &[512, 512]), bias: None, first };
                let layers = [0, 512].map(layer).to_vec();
                g.add(ops::Linears { layers, demodulate: false }, &[x]).ok()
            }),
        ),
        (
            "codeformer-512",
            one(at(1, 1, 16, 16), &|g, x| {
                let table = param(g, &[1024, 256]);
                g.add(ops::Embedding(table), &[x]).ok()
            }),
        ),
        (
            "codeformer-512",
            one(at(1, 256, 16, 16), &|g, x| {
                let style = g.add_input("style", at(1, 256, 16, 16));
                g.add(ops::AdaIn { epsilon: 1e-5 }, &[x, style]).ok()
            }),
        ),
        (
            "codeformer-512",
            one(at(1, 64, 512, 512), &|g, x| {
                let weight = param(g, &[64]);
                g.add(ops::GroupNorm { groups: 32, epsilon: 1e-6, weight }, &[x]).ok()
            }),
        ),
        (
            "bisenet-512",
            one(at(1, 64, 256, 256), &|g, x| {
                g.add(ops::MaxPool2d { kernel: 3, stride: 2, padding: 1 }, &[x]).ok()
            }),
        ),
        (
            "bisenet-512",
            one(at(1, 128, 64, 64), &|g, x| {
                g.add(ops::AdaptiveAvgPool2d { height: 1, width: 1 }, &[x]).ok()
            }),
        ),
        (
            "parsenet-512",
            one(at(1, 64, 512, 512), &|g, x| g.add(ops::ReflectPad(Padding::all(1)), &[x]).ok()),
        ),
        (
            "retinaface-640",
            one(at(1, 64, 160, 160), &|g, x| {
                let weight = param(g, &[64, 1, 3, 3]);
                let conv = Conv2d { groups: 64, ..Conv2d::same(weight, 3) };
                g.add(conv, &[x]).ok()
            }),
        ),
    ];
    plain.into_iter().chain(graphs).filter_map(|(network, graph)| Some((network, graph?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::{Cooperative, Target};
    use crate::tensor::Dtype;

    #[test]
    fn every_kernel_has_a_row() {
        let large = Target {
            max_binding: 1 << 30,
            max_buffer: 1 << 30,
            workgroup_memory: 48 << 10,
            max_invocations: 1024,
            ..Target::webgpu_defaults()
        };
        let matrices = Cooperative { side: 16, lanes: 32, narrowest: 32 };
        let halves = Target {
            dtype: Dtype::F16,
            blocks: true,
            cooperative: Some(matrices),
            ..large.clone()
        };
        for (there, targets) in
            Variant::NAMES.into_iter().zip([vec![large, halves], vec![Target::cpu()]])
        {
            let mut rows = BTreeSet::new();
            for target in targets {
                let cases = planned(|graph| Plan::new(Arc::new(graph), target.clone())).unwrap();
                rows.extend(cases.iter().map(|case| case.variant.name()));
            }
            let without: Vec<_> = there.iter().filter(|name| !rows.contains(*name)).collect();
            assert!(without.is_empty(), "no row runs {without:?}");
        }
    }
}
