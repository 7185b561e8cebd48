//! What executes each network on the CPU, on a GPU with cooperative matrices, and within WebGPU's
//! default limits: a change of the planner shows in `tests/goldens/plans`. `PENTIMENTO_BLESS=1` takes
//! it over.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pentimento::bench::NETWORKS;
use pentimento::graph::Graph;
use pentimento::models::Options;
use pentimento::plan::{Cooperative, Plan, Step, Target, View, fused};
use pentimento::tensor::{Dtype, Shape};
use pentimento::{Model, Task};

use crate::recognise::released;
use crate::support::{self, folders, formula, name};

/// Height and width of what networks take that take any picture.
const SIDE: usize = 64;

fn targets() -> [(&'static str, Target); 3] {
    let webgpu = Target::webgpu_defaults();
    let cooperative = Target {
        dtype: Dtype::F16,
        workgroup_memory: 48 << 10,
        max_invocations: 1024,
        blocks: true,
        cooperative: Some(Cooperative { side: 16, lanes: 32, narrowest: 32 }),
        ..webgpu.clone()
    };
    let cpu = Target { vector_lanes: 16, ..Target::cpu() };
    [("cpu", cpu), ("cooperative", cooperative), ("webgpu", webgpu)]
}

fn size(shape: Shape) -> String {
    let Shape { n, c, h, w } = shape;
    let samples = if n == 1 { String::new() } else { format!("{n}x") };
    if h * w == 1 { format!("{samples}{c}") } else { format!("{samples}{c}x{h}x{w}") }
}

/// A line for a step: the kernel with its form, the shapes of its first input and of its output, with "/8"
/// where they lie by blocks, and what is fused.
fn line(step: &Step) -> String {
    let size = |view: &View| {
        let blocks = if view.blocked { "/8" } else { "" };
        format!("{}{blocks}", size(view.shape))
    };
    let from = step.operands.first().map_or("-".to_owned(), size);
    let to = size(&step.output);
    let line = format!("{} {from} -> {to} {}", step.variant, fused(step).join(" "));
    line.trim_end().to_owned()
}

/// The plan of `graph` for every target. Steps that have the same line stand where the first of them
/// does, with their number.
fn snapshot(graph: &Arc<Graph>) -> String {
    let mut text = String::new();
    for (target, limits) in targets() {
        let plan = match Plan::new(Arc::clone(graph), limits) {
            Ok(plan) => plan,
            // Browsers' limits are too small for the largest.
            Err(error) => {
                writeln!(text, "{target}: {error}").expect("a string");
                continue;
            }
        };
        let mut lines: Vec<(String, usize)> = Vec::new();
        for line in plan.steps.iter().map(line) {
            match lines.iter_mut().find(|(known, _)| *known == line) {
                Some((_, count)) => *count += 1,
                None => lines.push((line, 1)),
            }
        }
        let mib = plan.arena_bytes() as f64 / f64::from(1 << 20);
        writeln!(text, "{target}: {} steps in {mib:.1} MiB", plan.steps.len()).expect("a string");
        for (line, count) in lines {
            writeln!(text, "  {count:3} {line}").expect("a string");
        }
    }
    text
}

fn file(network: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/plans/networks");
    folder.join(format!("{network}.txt"))
}

/// Where the plans of `model` differ from those that are kept.
fn difference(network: &str, model: &Model, shape: Shape) -> Option<String> {
    let graph = model.graph(shape).unwrap_or_else(|error| panic!("{network}: {error}"));
    let now = snapshot(&Arc::new(graph));
    let file = file(network);
    bless(&file, &now);
    let Ok(before) = std::fs::read_to_string(&file) else {
        support::skip(format_args!("{} is not there", file.display()));
        return None;
    };
    changed(network, &now, &before)
}

/// Takes over what is now, where that is asked for.
fn bless(file: &Path, now: &str) {
    if std::env::var_os("PENTIMENTO_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, now).expect("a snapshot can be written");
    }
}

/// The first line that differs.
fn changed(network: &str, now: &str, before: &str) -> Option<String> {
    let mut lines = now.lines().zip(before.lines()).enumerate();
    let differing = lines.find(|(_, (now, before))| now != before);
    let length = || (now != before).then(|| format!("{network}: another number of lines"));
    differing
        .map(|(at, (now, before))| format!("{network}, line {}: {before} is {now}", at + 1))
        .or_else(length)
}

/// Every step of GFPGAN 512, in order.
#[test]
fn gfpgan_512_is_planned_as_before() {
    let network = NETWORKS.iter().find(|network| network.name == "gfpgan-512").expect("a network");
    let model = network.model().expect("a network");
    let [h, w] = network.size;
    let graph = Arc::new(model.graph(model.input_shape(h, w)).expect("a graph"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/plans");
    let differences = targets().into_iter().filter_map(|(target, limits)| {
        let now = Plan::new(Arc::clone(&graph), limits).expect("a plan").to_string();
        let file = folder.join(format!("gfpgan-512-{target}.txt"));
        bless(&file, &now);
        let before = std::fs::read_to_string(&file).expect("a snapshot");
        changed(&format!("gfpgan-512, {target}"), &now, &before)
    });
    assert_none(differences.collect());
}

fn assert_none(differences: Vec<String>) {
    let told = "PENTIMENTO_BLESS=1 takes these over";
    assert!(differences.is_empty(), "{}\n{told}", differences.join("\n"));
}

#[test]
fn measured_networks_are_planned_as_before() {
    let networks = NETWORKS.iter().filter_map(|network| {
        let model = network.model().expect("a network");
        let [h, w] = network.size;
        difference(network.name, &model, model.input_shape(h, w))
    });
    assert_none(networks.collect());
}

#[test]
fn enlargers_are_planned_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/upscalers");
    let networks = folders(&folder).into_iter().filter_map(|folder| {
        let model = Model::from_checkpoint(formula::checkpoint(&folder), &Options::default());
        let model = model.expect("a known network");
        let Task::Upscale { multiple, .. } = model.task() else { panic!("{:?}", model.task()) };
        let side = SIDE.next_multiple_of(multiple);
        difference(&name(&folder), &model, model.input_shape(side, side))
    });
    assert_none(networks.collect());
}

#[test]
fn released_networks_are_planned_as_before() {
    let Some(shared) = support::shared() else { return };
    let networks = released(&shared)
        .into_iter()
        .filter_map(|(list, model)| difference(&list, &model, model.input_shape(SIDE, SIDE)));
    assert_none(networks.collect());
}
