//! `pentimento inspect`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use pentimento::checkpoint::Taken;
use pentimento::graph::{Encoding, Graph, Param};
use pentimento::plan::{Plan, Target};
use pentimento::tensor::Dtype;
use pentimento::{Error, ModelInfo, Precision, Result, Shape, Task};
use serde::Serialize;

use super::model::Assumptions;
use super::output::{bytes, print, print_json};
use super::{EngineArgs, model, value};

/// Says what a model file is and what it costs to run
///
/// Nothing is run: the network is recognised, built for an input size and planned for the device.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Inspect {
    /// Model: a .safetensors or .pth file, or the name of a model that was pulled
    #[arg(value_name = "FILE")]
    model: PathBuf,

    #[command(flatten)]
    assumptions: Assumptions,

    /// Input size in pixels, height x width, for networks that take any
    #[arg(long, value_name = "HxW", value_parser = value::size, default_value = "256x256")]
    size: [usize; 2],

    /// List every tensor with its type and shape
    #[arg(long)]
    tensors: bool,

    /// Print the graph: one line per operation
    #[arg(long)]
    nodes: bool,

    /// Write the graph to FILE in Graphviz' language
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,

    /// Print the plan: one line per kernel launch, and where in memory it reads and writes. On a GPU
    /// whose rates are known also how long it should take
    #[arg(long)]
    plan: bool,

    /// Plan for this GPU, which need not be there: "H100" or "H200"
    #[arg(long = "for", value_name = "GPU", conflicts_with_all = ["device", "memory", "tune"])]
    gpu: Option<String>,

    #[command(flatten)]
    engine: EngineArgs,

    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pentimento inspect weights/mmrbnet-256.safetensors
  pentimento inspect model.pth --size 512x768 --plan --device cpu
  pentimento inspect model.pth --graph model.dot && dot -Tsvg model.dot -o model.svg";

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a Path,
    #[serde(flatten)]
    info: ModelInfo,
    metadata: BTreeMap<&'a str, &'a str>,
    /// Values per type.
    types: BTreeMap<&'static str, usize>,
    /// Tensors that are not floating-point numbers.
    skipped: Vec<String>,
    /// Which of the file's tensors were taken.
    taken: &'a Taken,
    run: Run<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<Tensor<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

/// The cost of one input.
#[derive(Serialize)]
struct Run<'a> {
    /// `[N, C, H, W]`
    input: [usize; 4],
    output: [usize; 4],
    nodes: usize,
    multiply_adds: u64,
    device: &'a str,
    steps: usize,
    weight_bytes: usize,
    intermediate_bytes: usize,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    encoding: &'static str,
    shape: &'a [usize],
}

impl Inspect {
    pub fn run(&self) -> Result<ExitCode> {
        let path = model::path(Some(&self.model))?;
        let model = self.assumptions.open(&path)?;
        let checkpoint = model.checkpoint();
        let [height, width] = self.size;
        let graph = model.graph(model.input_shape(height, width))?;
        if let Some(path) = &self.graph {
            std::fs::write(path, graph.to_dot()).map_err(|source| Error::Io {
                action: "write",
                path: path.clone(),
                source,
            })?;
        }
        let nodes = self.nodes.then(|| graph.to_string());
        let (plan, device) = self.planned(graph)?;
        let mut types = BTreeMap::new();
        for tensor in checkpoint.tensors() {
            *types.entry(type_name(tensor.encoding())).or_default() += tensor.len();
        }
        let tensors = checkpoint.tensors().map(|tensor| Tensor {
            name: &tensor.name,
            encoding: type_name(tensor.encoding()),
            shape: &tensor.dims,
        });
        let report = Report {
            file: &path,
            info: model.info(),
            metadata: checkpoint.all_metadata(),
            types,
            skipped: checkpoint.skipped(),
            taken: checkpoint.taken(),
            run: run(&plan.graph, &plan, &device),
            tensors: self.tensors.then(|| tensors.collect()),
            nodes,
            plan: self.plan.then(|| plan.to_string()),
        };
        if self.json {
            print_json(&report)?;
        } else {
            print(&report.text())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Inspect {
    /// The plan, and the name of the device that it is for.
    fn planned(&self, graph: Graph) -> Result<(Plan, String)> {
        let Some(gpu) = &self.gpu else {
            let engine = self.engine.engine()?;
            return Ok((engine.plan(graph)?, engine.device().name.clone()));
        };
        let dtype = match self.engine.precision {
            Precision::F32 => Dtype::F32,
            Precision::Auto | Precision::F16 => Dtype::F16,
        };
        let mut target = Target::known(gpu, dtype).ok_or_else(|| {
            Error::Input(format!("the rates of {gpu:?} are not known; --for takes H100 or H200"))
        })?;
        if self.engine.no_cooperative {
            target.cooperative = None;
        }
        Ok((Plan::new(graph.into(), target)?, format!("{gpu}, which need not be there")))
    }
}

fn run<'a>(graph: &Graph, plan: &Plan, device: &'a str) -> Run<'a> {
    let dims = |shape: Shape| [shape.n, shape.c, shape.h, shape.w];
    let first =
        |ids: &[pentimento::graph::NodeId]| ids.first().map_or([0; 4], |&id| dims(graph.shape(id)));
    let size = |param: &Param| if param.exact { Dtype::F32 } else { plan.target.dtype }.size();
    Run {
        input: first(graph.inputs()),
        output: first(graph.outputs()),
        nodes: graph.nodes().len(),
        multiply_adds: graph.multiply_adds(),
        device,
        steps: plan.steps.len(),
        weight_bytes: graph.params().iter().map(|param| param.len() * size(param)).sum(),
        intermediate_bytes: plan.arena_bytes(),
    }
}

fn type_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::F32 => "f32",
        Encoding::F16 => "f16",
        Encoding::Bf16 => "bf16",
    }
}

impl Report<'_> {
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.file.display());
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:17} {value}");
        };
        row("architecture", self.info.architecture);
        row("task", &task(self.info.task));
        let types: Vec<String> =
            self.types.iter().map(|(name, n)| format!("{} {name}", count(*n as u64))).collect();
        row("parameters", &format!("{} in {} tensors", types.join(" + "), self.info.tensors));
        if self.taken.entry.is_some() || self.taken.was_chosen() {
            row("taken", &self.taken.sentence());
        }
        if !self.taken.stripped.is_empty() {
            row("names without", &self.taken.stripped.join(" "));
        }
        if let Some(left_out) = self.taken.left_out_list() {
            row("left out", &left_out);
        }
        if !self.skipped.is_empty() {
            row("ignored tensors", &self.skipped.join(", "));
        }
        for (name, value) in &self.info.parameters {
            row(name, value);
        }
        for (key, value) in &self.metadata {
            row(&format!("metadata {key}"), &shortened(value));
        }
        let run = &self.run;
        let [_, _, height, width] = run.output;
        let _ = writeln!(text, "\nOne input of {:?} on {}", run.input, run.device);
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:17} {value}");
        };
        row("output", &format!("{width}x{height} pixels"));
        row("arithmetic", &format!("{} multiply-adds", count(run.multiply_adds)));
        row("graph", &format!("{} operations, planned as {} steps", run.nodes, run.steps));
        let weights = bytes(run.weight_bytes);
        let intermediates = bytes(run.intermediate_bytes);
        row("memory", &format!("{weights} of weights, {intermediates} of intermediates"));
        if let Some(tensors) = &self.tensors {
            text += "\nTensors\n";
            for Tensor { name, encoding, shape } in tensors {
                let _ = writeln!(text, "  {encoding:5} {name} {shape:?}");
            }
        }
        for (title, dump) in [("Graph", &self.nodes), ("Plan", &self.plan)] {
            if let Some(dump) = dump {
                let _ = write!(text, "\n{title}\n{dump}");
            }
        }
        text
    }
}

fn task(task: Task) -> String {
    match task {
        Task::RestoreFace { size } => format!("restores a face, cut out {size}x{size}"),
        Task::Upscale { factor, radius, .. } => {
            format!("enlarges any picture {factor} times; sees {radius} pixels around each")
        }
        Task::Generate { latent, size } => {
            format!("generates {size}x{size} pictures from {latent} random numbers")
        }
        Task::Parse { size, classes } => {
            format!("says which of {classes} parts each pixel of a {size}x{size} face shows")
        }
        Task::Detect { .. } => "finds faces in any picture".to_owned(),
    }
}

/// "21.4 G"
fn count(n: u64) -> String {
    match n as f64 {
        x if x >= 1e9 => format!("{:.2} G", x / 1e9),
        x if x >= 1e6 => format!("{:.2} M", x / 1e6),
        x if x >= 1e3 => format!("{:.1} k", x / 1e3),
        _ => n.to_string(),
    }
}

/// Metadata can be whole configuration files.
fn shortened(value: &str) -> String {
    const LENGTH: usize = 120;
    let line: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{} … ({} characters)", &line[..end], line.chars().count()),
        None => line,
    }
}
