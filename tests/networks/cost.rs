//! Predictions beside what was measured on an H200, at a commit whose kernels are these but two.

use std::sync::Arc;

use pentimento::bench;
use pentimento::graph::{Conv2d, Graph, Op, Param, ops};
use pentimento::plan::{
    Bound, CooperativeTile, Counts, DirectTile, Plan, Rates, Step, Target, Upsample, Variant,
    are_alike, products,
};
use pentimento::tensor::{Dtype, Shape};
use pentimento::{gpu, photo};

/// Channels and side of the five layers, and their microseconds in f16 and f32.
const LAYERS: [([usize; 2], [f64; 2]); 5] = [
    ([512, 32], [166.0, 287.0]),
    ([512, 64], [168.0, 905.0]),
    ([256, 128], [167.0, 1096.0]),
    ([128, 256], [194.0, 438.0]),
    ([64, 512], [354.0, 613.0]),
];

/// As the program planned then: by the table of thresholds.
fn target(dtype: Dtype) -> Target {
    Target { rates: None, ..Target::known("NVIDIA H200", dtype).unwrap() }
}

fn layer([channels, side]: [usize; 2], target: Target) -> Plan {
    let mut graph = Graph::new();
    let x = graph.add_input("x", Shape::new(1, channels, side, side));
    let zeros = vec![0.0; channels * channels * 9];
    let dims = vec![channels, channels, 3, 3];
    let weight = graph.add_param(Param::from_values("w", dims, &zeros));
    let y = graph.add(Conv2d::same(weight, 3), &[x]).unwrap();
    let bias = graph.add_param(Param::from_values("b", vec![channels], &zeros[..channels]));
    let y = graph.add(ops::Bias(bias), &[y]).unwrap();
    graph.set_output(y);
    Plan::new(Arc::new(graph), target).unwrap()
}

/// Kernels and seconds of the steps by the kernels of then: nothing was staged once for all taps, so
/// that resizes stood before such convolutions; convolutions to RGB did not share their channels; paths of
/// a stage, and layers of a vector, had a launch each; a few channels were staged as if they were 128; and
/// lanes of `conv_gemm_cooperative` loaded four neighbouring pixels each, whose sectors all four loads
/// touched.
fn as_measured(plan: &Plan) -> Vec<(&'static str, f64)> {
    let mut plan = plan.clone();
    let mut times = Vec::new();
    for index in 0..plan.steps.len() {
        if matches!(plan.steps[index].variant, Variant::ConvPatchCooperative(_)) {
            assert!(plan.force(index, "conv_gemm_cooperative").unwrap());
        }
        let mut step = plan.steps[index].clone();
        match &mut step.variant {
            Variant::ConvDirect(tile) => *tile = DirectTile { parts: 1, ..*tile },
            Variant::ConvGemmCooperative(tiles) => {
                for tile in tiles.iter_mut().filter(|tile| tile.splits > 1) {
                    let (part, depth, splits) = ([32, 32], 128, 4);
                    *tile = CooperativeTile { rows: 32, columns: 32, part, depth, splits, ..*tile };
                }
            }
            _ => {}
        }
        let mut counts = Counts::of(&step, &plan).unwrap();
        if let Op::Linears(op) = &step.op {
            counts.launches = op.layers.len() as f64;
            counts.serial_loads = counts.launches;
        }
        if matches!(step.variant, Variant::ConvGemmCooperative(_)) {
            counts.gathered_bytes *= 4.0;
            let products = products(&step, &plan.graph).unwrap();
            if are_alike(&products) {
                counts.launches = products.len() as f64;
                counts.workgroups /= counts.launches;
            }
            if step.upsample == Upsample::Bilinear {
                times.push(("resize", Rates::H200.cost(doubled(step.input_shape())).seconds));
            }
        }
        times.push((step.variant.name(), Rates::H200.cost(counts).seconds));
    }
    times
}

/// A resize ×2 of halves of this shape.
fn doubled(from: Shape) -> Counts {
    let values = 4.0 * from.len() as f64;
    Counts {
        launches: 1.0,
        workgroups: values / Counts::INVOCATIONS,
        memory_bytes: 1.25 * values * Dtype::F16.size() as f64,
        slots: values * Counts::RESIZE,
        serial_loads: 1.0,
        ..Counts::default()
    }
}

#[test]
fn the_five_layers_are_predicted_within_15_percent() {
    let mut wrong = Vec::new();
    for (sizes, measured) in LAYERS {
        for (dtype, measured) in [Dtype::F16, Dtype::F32].into_iter().zip(measured) {
            let plan = layer(sizes, target(dtype));
            let (kernel, seconds) = as_measured(&plan)[0];
            let predicted = 1e6 * seconds;
            let off = predicted / measured - 1.0;
            let line = format!(
                "{sizes:?} {dtype} {kernel}: {predicted:.0} of {measured} us, {:+.1}%",
                100.0 * off
            );
            eprintln!("{line}");
            if off.abs() > 0.15 {
                wrong.push(line);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Milliseconds from bytes to bytes in f16 and f32.
const NETWORKS: [(&str, [f64; 2]); 7] = [
    ("mmrbnet-256", [3.4, 10.6]),
    ("mmrbnet-512", [5.4, 15.2]),
    ("gfpgan-512", [13.0, 26.2]),
    ("gpen-512", [13.6, 24.1]),
    ("rrdb-x4-64", [10.3, 27.5]),
    ("srvgg-x4-256", [3.8, 7.3]),
    ("srvgg-x4-512", [15.5, 25.0]),
];

#[test]
fn the_networks_are_predicted_within_25_percent() {
    let mut wrong = Vec::new();
    for (name, measured) in NETWORKS {
        let network = bench::NETWORKS.iter().find(|n| n.name == name).unwrap();
        let model = network.model().unwrap();
        let [h, w] = network.size;
        let graph = Arc::new(model.graph(model.input_shape(h, w)).unwrap());
        for (dtype, measured) in [Dtype::F16, Dtype::F32].into_iter().zip(measured) {
            let plan = Plan::new(Arc::clone(&graph), target(dtype)).unwrap();
            let mut kinds = std::collections::BTreeMap::new();
            let mut seconds = Rates::host(3 * plan.outputs[0].shape.plane());
            for (kind, cost) in as_measured(&plan) {
                *kinds.entry(kind).or_insert(0.0) += 1e3 * cost;
                seconds += cost;
            }
            let off = 1e3 * seconds / measured - 1.0;
            let line = format!(
                "{name} {dtype}: {:.1} of {measured} ms, {:+.0}%",
                1e3 * seconds,
                100.0 * off
            );
            eprintln!("{line} {kinds:.2?}");
            if off.abs() > 0.25 {
                wrong.push(line);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Faces at a time on an H200 in f16 and f32: as many as the plan's tiles keep it busy.
#[test]
fn small_networks_take_several_faces_at_a_time_on_a_large_gpu() {
    let mut chosen = Vec::new();
    for name in ["mmrbnet-256", "mmrbnet-512", "gfpgan-512", "gpen-512"] {
        let network = bench::NETWORKS.iter().find(|n| n.name == name).unwrap();
        let model = network.model().unwrap();
        for dtype in [Dtype::F16, Dtype::F32] {
            let known = Target::known("H200", dtype).unwrap();
            let [faces, worth] = photo::faces_at_a_time(&model, &known);
            assert!((1..=faces).contains(&worth), "{name}: {worth} of {faces}");
            // A GPU that nobody measured, and one with room for little more than one face.
            let unknown = Target { rates: None, ..known.clone() };
            let [of_unknown, _] = photo::faces_at_a_time(&model, &unknown);
            let plan = |n: usize| {
                let shape = model.input_shape(0, 0);
                let graph = model.graph(Shape { n, ..shape }).unwrap();
                Plan::new(Arc::new(graph), known.clone()).unwrap()
            };
            let [one, two] = [1, 2].map(|n| gpu::predict(&plan(n)).unwrap().total());
            let small = Target { memory_budget: Some((one + two) / 2), ..known.clone() };
            assert_eq!(photo::faces_at_a_time(&model, &small), [1, 1], "{name}");
            let seconds = |n| 1e3 * plan(n).predicted(&Rates::H200).unwrap() / n as f64;
            let times: Vec<_> = [1, 2, 4, 8, 16].map(seconds).into();
            eprintln!(
                "{name} {dtype}: {faces} from {worth} on, unknown {of_unknown}; ms a face {times:.2?}"
            );
            chosen.push((name, dtype, faces));
        }
    }
    let of =
        |name| chosen.iter().find(|(n, dtype, _)| *n == name && *dtype == Dtype::F16).unwrap().2;
    assert!(of("mmrbnet-256") > 1 && of("mmrbnet-256") >= of("gfpgan-512"), "{chosen:?}");
    assert_eq!(
        photo::faces_at_a_time(&bench::NETWORKS[0].model().unwrap(), &Target::cpu()),
        [1, 1]
    );
}

#[test]
fn a_choice_of_tiles_is_the_quickest() {
    for (sizes, _) in LAYERS {
        let target = Target::known("H200", Dtype::F16).unwrap();
        let plan = layer(sizes, target);
        let time = |variant: &Variant| {
            let step = Step { variant: variant.clone(), ..plan.steps[0].clone() };
            plan.cost(&step, &Rates::H200).unwrap().seconds
        };
        let chosen = time(&plan.steps[0].variant);
        for other in plan.candidates(0).unwrap() {
            let same = other.name() == plan.steps[0].variant.name();
            assert!(!same || time(&other) >= chosen, "{other}");
        }
    }
}

/// The input of a layer passes once for its nine taps, with the sectors of a border.
#[test]
fn a_staged_input_is_counted_once() {
    for (sizes, _) in &LAYERS[1..] {
        let mut plan = layer(*sizes, Target::known("H200", Dtype::F16).unwrap());
        let staged = plan.cost(&plan.steps[0], &Rates::H200).unwrap();
        assert_eq!(plan.steps[0].variant.name(), "conv_patch_cooperative");
        assert!(plan.force(0, "conv_gemm_cooperative").unwrap());
        let gathered = plan.cost(&plan.steps[0], &Rates::H200).unwrap();
        assert_eq!(staged.counts.matrix_products, gathered.counts.matrix_products);
        assert!(staged.counts.gathered_bytes < gathered.counts.gathered_bytes, "{sizes:?}");
        assert!(staged.seconds < gathered.seconds, "{sizes:?}: {staged:?} for {gathered:?}");
    }
}

#[test]
fn what_takes_most_of_the_time_binds() {
    let empty = Rates::H200.cost(Counts { launches: 1.0, workgroups: 1.0, ..Counts::default() });
    assert_eq!((empty.bound, empty.seconds), (Bound::Launch, Rates::H200.launch));
    let copied = Counts { memory_bytes: 4.1e9, workgroups: 1e6, ..Counts::default() };
    let copied = Rates::H200.cost(copied);
    assert_eq!(copied.bound, Bound::Memory);
    assert!((copied.seconds - 1e-3).abs() < 1e-6);
    // One workgroup has one unit.
    let one = Counts { products: 1e9, workgroups: 1.0, ..Counts::default() };
    let all = Counts { workgroups: 132.0, ..one };
    let [one, all] = [one, all].map(|counts| Rates::H200.cost(counts).seconds);
    assert!((one / all - 132.0).abs() < 1e-6);
}

#[test]
fn rates_that_are_none_predict_nothing() {
    assert!(Rates::probed([1e12, 1e11, 1e12, 1e-6], None).is_some());
    assert!(Rates::probed([0.0, 1e11, 1e12, 1e-6], None).is_none());
    assert!(Rates::probed([1e12, f64::NAN, 1e12, 1e-6], None).is_none());
    assert!(Rates::known("llvmpipe").is_none() && Rates::known("NVIDIA H100 80GB HBM3").is_some());
}
