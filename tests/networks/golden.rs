//! Small networks with PyTorch checkpoints in the containers of the real releases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::Graph;
use pentimento::models::{CodeFormerOptions, Options, Truncation};
use pentimento::nn::stylegan2::Resample;
use pentimento::{Model, Task};
use pentimento_convert::{Options as Reading, Source};

use crate::support::{
    self, Executor, files, folders, json, largest_error, name, npy, relative_error, shape,
};

/// Largest relative L2 error of an f32 network.
pub const F32: f64 = 1e-4;
/// The same in f16.
pub const F16: f64 = 2e-2;

/// Whether a device should run a case in f16. Software drivers take seconds to compile each kernel:
/// they run the cases with a variant that no earlier case had, and `seen` holds the variants of
/// those.
fn runs_in_f16(graph: &Arc<Graph>, seen: &mut BTreeSet<String>) -> bool {
    let Some(plan) = support::plan(graph, Executor::GpuF16) else { return false };
    let is_software = support::device().is_some_and(|device| device.info().is_software());
    let news = plan.steps.iter().filter(|step| seen.insert(step.variant.to_string())).count();
    news > 0 || !is_software
}

/// All executors that run a case.
pub fn executors(graph: &Arc<Graph>, seen: &mut BTreeSet<String>) -> Vec<Executor> {
    let half = runs_in_f16(graph, seen).then_some(Executor::GpuF16);
    [Executor::Twins, Executor::Cpu, Executor::Gpu].into_iter().chain(half).collect()
}

/// Compares all executors with `expected`, the first outputs of the graph. `seen` is as in
/// [`runs_in_f16`].
pub fn compare(
    model: &Model,
    case: &str,
    (dims, input): (&[usize], &[f32]),
    expected: &[&[f32]],
    seen: &mut BTreeSet<String>,
) {
    let graph = Arc::new(model.graph(shape(dims)).unwrap_or_else(|e| panic!("{case}: {e}")));
    for executor in executors(&graph, seen) {
        let Some(actual) = support::run(&graph, executor, &[input]) else { continue };
        assert!(actual.len() >= expected.len(), "{case} has {} outputs", actual.len());
        for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            assert_close(&format!("{case} {executor:?} {i}"), executor, actual, expected);
        }
    }
}

fn assert_close(what: &str, executor: Executor, actual: &[f32], expected: &[f32]) {
    let error = relative_error(actual, expected);
    eprintln!("{what}: {error:.1e}, largest {:.1e}", largest_error(actual, expected));
    let tolerance = if executor == Executor::GpuF16 { F16 } else { F32 };
    assert!(error <= tolerance, "{what}: {error:.2e} exceeds {tolerance:.0e}");
}

/// The names of a graph's outputs, in their order; `output` is the first.
fn output_names(model: &Model) -> &'static [&'static str] {
    match model.architecture() {
        "ParseNet" => &["output", "img"],
        "BiSeNet" => &["output", "16", "32"],
        _ => model.outputs(),
    }
}

/// Which output a file holds, and with which fidelity and normalisation of CodeFormer's it was
/// computed: `output`, `output_logits`, `output16`, or `output_w0_noadain`.
fn computed(file: &str) -> (&str, Option<CodeFormerOptions>) {
    let part = file.strip_prefix("output").unwrap_or(file).trim_start_matches('_');
    let choices = part.strip_prefix('w').and_then(|rest| {
        let (fidelity, other) = rest.split_once('_').unwrap_or((rest, ""));
        let fidelity = Some(fidelity.parse().ok()?);
        Some(CodeFormerOptions { fidelity, adain: Some(other != "noadain") })
    });
    if part.is_empty() || choices.is_some() { ("output", choices) } else { (part, None) }
}

/// What the file of a case does not say, as the constructor's arguments tell it.
pub fn options(meta: &serde_json::Value) -> Options {
    let slope = |activation: &str| match activation {
        "relu" => Some(0.0),
        "leakyrelu" => Some(0.1),
        _ => None,
    };
    let ctor = &meta["ctor"];
    let number = |name: &str| ctor[name].as_u64().map(|n| n as usize);
    Options {
        heads: number("n_head").or_else(|| number("head_size")),
        codeformer: CodeFormerOptions {
            fidelity: ctor["w"].as_f64().map(|w| w as f32),
            adain: ctor["adain"].as_bool(),
        },
        resample: (meta["arch"] == "GFPGANBilinear").then_some(Resample::Bilinear),
        slope: ctor["act_type"].as_str().and_then(slope),
        auxiliary: true,
        ..Options::default()
    }
}

/// The checkpoint of a case. One with objects besides tensors is read without them, as
/// `convert --skip-unknown` reads it.
pub fn checkpoint(folder: &Path) -> Checkpoint {
    let path = folder.join("checkpoint.pth");
    Checkpoint::open(&path).unwrap_or_else(|refused| {
        let reading = Reading { skip_unknown: true, ..Reading::default() };
        let source = Source::open(&path, &reading);
        let mut source = source.unwrap_or_else(|error| panic!("{refused}; {error}"));
        assert!(!source.contents().dropped.is_empty(), "{refused}");
        Checkpoint::from_source(&mut source, &path).expect("weights")
    })
}

/// `[N, C, H, W]` as the tokens `[N, H·W, C]` of a golden of three dimensions.
pub fn tokens(values: &[f32], [samples, channels]: [usize; 2]) -> Vec<f32> {
    let pixels = values.len() / samples / channels;
    let sample = |x: &'_ [f32]| -> Vec<f32> {
        (0..pixels).flat_map(|t| (0..channels).map(move |c| x[c * pixels + t])).collect()
    };
    values.chunks_exact(pixels * channels).flat_map(sample).collect()
}

/// What a case gives besides `meta.json`: the mean latent.
fn truncation(folder: &Path, meta: &serde_json::Value) -> Option<Truncation> {
    let mean = folder.join("input_truncation_latent.npy");
    mean.exists().then(|| {
        let notes = meta["notes"].as_str().unwrap_or_default();
        let factor = notes.split("truncation=").nth(1).and_then(|n| n.split(';').next());
        let factor = factor.and_then(|f| f.trim().parse().ok()).expect("a truncation factor");
        Truncation { factor, mean: npy(&mean).1 }
    })
}

/// Files of a case, and the outputs that they hold.
type Outputs = Vec<(String, &'static str)>;

/// Runs one case by all executors and compares every `output*.npy` of its folder. The codes of a
/// codebook are PyTorch's on all of them, in f16 too.
fn check(folder: &Path, seen: &mut BTreeSet<String>) {
    let case = name(folder);
    let meta = json(&folder.join("meta.json"));
    let mut groups: Vec<(Option<CodeFormerOptions>, Outputs)> = Vec::new();
    let usual = Options { truncation: truncation(folder, &meta), ..options(&meta) };
    let model = |choices: Option<CodeFormerOptions>| {
        let codeformer = choices.unwrap_or(usual.codeformer);
        let options = Options { codeformer, ..usual.clone() };
        let model = Model::from_checkpoint(checkpoint(folder), &options);
        model.unwrap_or_else(|error| panic!("{case}: {error}"))
    };
    let first = model(None);
    if matches!(first.task(), Task::Detect { .. }) {
        // Its outputs are compared in detect.rs.
        return;
    }
    for file in files(folder).iter().filter(|file| file.starts_with("output")) {
        let file = file.trim_end_matches(".npy");
        let (part, choices) = computed(file);
        let known = output_names(&first).iter().find(|name| **name == part);
        let known = known.unwrap_or_else(|| panic!("{case}: no output of the network is {file}"));
        match groups.iter_mut().find(|(of, _)| *of == choices) {
            Some((_, files)) => files.push((file.to_owned(), known)),
            None => groups.push((choices, vec![(file.to_owned(), known)])),
        }
    }
    assert!(!groups.is_empty(), "{case} has no output");
    let (dims, input) = npy(&folder.join("input.npy"));
    for (choices, files) in groups {
        let model = model(choices);
        let graph = model.graph(shape(&dims)).unwrap_or_else(|e| panic!("{case}: {e}"));
        let graph = Arc::new(graph);
        for executor in executors(&graph, seen) {
            let Some(outputs) = support::run(&graph, executor, &[&input]) else { continue };
            for (file, output) in &files {
                let index = output_names(&model).iter().position(|name| name == output);
                let actual = &outputs[index.expect("a name")];
                let (dims, expected) = npy(&folder.join(format!("{file}.npy")));
                let actual = match dims[..] {
                    [samples, _, channels] => &tokens(actual, [samples, channels]),
                    _ => actual,
                };
                if *output == "indices" {
                    assert_eq!(*actual, expected, "{case} {executor:?}: other codes");
                    continue;
                }
                assert_close(&format!("{case} {executor:?} {file}"), executor, actual, &expected);
            }
        }
    }
}

/// Every case of `goldens/` whose `meta.json` and checkpoint are there.
pub fn cases(shared: &Path) -> Vec<PathBuf> {
    let mut folders = folders(&shared.join("goldens"));
    folders.retain(|f| f.join("checkpoint.pth").exists() && f.join("meta.json").exists());
    assert!(!folders.is_empty(), "{} holds no case", shared.display());
    folders
}

/// Those whose network `architecture` names, by the start of `arch` in their `meta.json`.
fn agree_with_pytorch(is: impl Fn(&str) -> bool) {
    let Some(shared) = support::shared() else { return };
    let mut seen = BTreeSet::new();
    for folder in cases(&shared) {
        let meta = json(&folder.join("meta.json"));
        if is(meta["arch"].as_str().expect("an architecture")) {
            check(&folder, &mut seen);
        }
    }
}

#[test]
fn gfpgans_agree_with_pytorch() {
    agree_with_pytorch(|arch| arch.starts_with("GFPGAN"));
}

#[test]
fn networks_with_codebooks_agree_with_pytorch() {
    agree_with_pytorch(|arch| arch.ends_with("Former"));
}

#[test]
fn all_other_networks_agree_with_pytorch() {
    agree_with_pytorch(|arch| !arch.starts_with("GFPGAN") && !arch.ends_with("Former"));
}
