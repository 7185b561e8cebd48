//! What networks take on a GPU: little more than their weights and what is alive at once.

use std::sync::Arc;

use pentimento::graph::Param;
use pentimento::models::{Options, published};
use pentimento::plan::{Backend, Plan, Storage, Target};
use pentimento::tensor::Dtype;
use pentimento::{Model, gpu};

use crate::fullsize;
use crate::support::{self, formula};

/// The networks of `goldens/fullsize` whose figures the table of published models prints: each by
/// its name, its side, and how many values its file holds.
const CASES: [(&str, usize, usize, &[&str]); 8] = [
    ("GFPGANv1Clean", 512, 87_143_276, &["gfpgan-1.2", "gfpgan-1.3", "gfpgan-1.4"]),
    ("GFPGANv1", 512, 76_906_268, &["gfpgan-1.0"]),
    ("GPEN", 256, 18_879_298, &["gpen-256"]),
    ("GPEN", 512, 71_005_559, &["gpen-512"]),
    ("RestoreFormer", 512, 72_680_003, &["restoreformer"]),
    ("CodeFormer", 512, 94_112_707, &["codeformer"]),
    ("ParseNet", 512, 21_319_930, &["parsenet"]),
    ("BiSeNet", 512, 13_313_119, &["bisenet"]),
];
/// Where it is promised.
const BOUND: [&str; 2] = ["GFPGANv1Clean", "CodeFormer"];

/// A real GPU of today.
fn target(dtype: Dtype) -> Target {
    Target {
        backend: Backend::Gpu,
        dtype,
        max_binding: 2 << 30,
        max_buffer: 2 << 30,
        ..Target::webgpu_defaults()
    }
}

/// Bytes of all weights, and of the intermediates that are alive at once.
fn least(plan: &Plan) -> usize {
    let size = |exact: bool| if exact { Dtype::F32.size() } else { plan.target.dtype.size() };
    let weights: usize =
        plan.graph.params().iter().map(|param| param.len() * size(param.exact)).sum();
    let alive = |step: usize| -> usize {
        let alive = |s: &&Storage| s.lifetime[0] <= step && step <= s.lifetime[1];
        plan.storages.iter().filter(alive).map(Storage::bytes).sum()
    };
    weights + (0..=plan.steps.len()).map(alive).max().unwrap_or(0)
}

#[test]
fn networks_take_little_more_than_weights_and_intermediates() {
    let Some(shared) = support::shared() else { return };
    let mut wrong = Vec::new();
    for folder in support::folders(&shared.join("goldens/fullsize")) {
        let checkpoint = formula::checkpoint(&folder);
        let values: usize = checkpoint.tensors().map(Param::len).sum();
        let model = Model::from_checkpoint(checkpoint, &Options::default()).expect("a network");
        let (case, [h, w]) = (model.architecture(), fullsize::size(&folder));
        let known = CASES
            .iter()
            .find(|(name, side, count, _)| (*name, *side, *side, *count) == (case, h, w, values));
        let Some((_, _, _, names)) = known else {
            eprintln!("{}: {case}, {h}×{w}, {values}, is not in the table", support::name(&folder));
            continue;
        };
        let graph = Arc::new(model.graph(model.input_shape(h, w)).expect("a graph"));
        let totals = [Dtype::F32, Dtype::F16].map(|dtype| {
            let plan = Plan::new(graph.clone(), target(dtype)).expect("a plan");
            let total = gpu::predict(&plan).expect("a prediction").total();
            let ratio = total as f64 / least(&plan) as f64;
            eprintln!("{case} {dtype:?}: {:.0} MB, {ratio:.2} times the least", total as f64 / 1e6);
            if BOUND.contains(&case) {
                assert!(ratio <= 1.25, "{case} {dtype:?}: {ratio:.2}");
            }
            total
        });
        // What decides between CodeFormer's codes stays f32: 0.71.
        let most = if case == "CodeFormer" { 0.75 } else { 0.6 };
        let half = totals[1] as f64 / totals[0] as f64;
        assert!(!BOUND.contains(&case) || half <= most, "{case}: f16 takes {half:.2} of f32");
        let figures = totals.map(|total| (total as f64 / 1e6).round() as u32);
        for name in *names {
            if published(name).expect("a known model").memory != Some(figures) {
                wrong.push(format!("{name}: {figures:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "the table says otherwise: {wrong:#?}");
}
