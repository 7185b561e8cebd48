//! Enlargers and denoisers with weights by formula, against their published definitions in PyTorch:
//! the cases that `tools/reference` writes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::Param;
use pentimento::models::Options;
use pentimento::tensor::Shape;
use pentimento::{Model, Task};

use crate::golden::{F16, F32, executors};
use crate::relatives::{strays, with_stray};
use crate::support::{
    self, Executor, folders, formula, json, name, noise, npy, relative_error, shape,
};

fn cases() -> Vec<PathBuf> {
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/upscalers"))
}

/// The shape of a case's input, and the input: a hash of its place.
fn input(folder: &Path) -> (Vec<usize>, Vec<f32>) {
    let meta = json(&folder.join("meta.json"));
    let dims: Vec<usize> = serde_json::from_value(meta["input"].clone()).expect("a shape");
    let seed = meta["seed"].as_u64().expect("a seed");
    let values = formula::values("input", seed, dims.iter().product(), 0.5, 0.5);
    (dims, values)
}

/// The start of a case's name, and the architecture that it tells.
const ARCHITECTURES: [(&str, &str); 10] = [
    ("dat", "DAT"),
    ("hat", "HAT"),
    ("nafnet", "NAFNet"),
    ("omnisr", "OmniSR"),
    ("plksr", "PLKSR"),
    ("realcugan", "Real-CUGAN"),
    ("realplksr", "RealPLKSR"),
    ("scunet", "SCUNet"),
    ("span", "SPAN"),
    ("swinir", "SwinIR"),
];

/// Those that differ from others in nothing that only a GPU does: each takes a software driver
/// seconds.
const ON_CPU_ONLY: &[&str] = &[
    "dat_light_x3",
    "omnisr_x3",
    "realcugan_x2",
    "realcugan_x2_fast",
    "realcugan_x3_pro",
    "realcugan_x4_odd",
    "realplksr_x1",
    "scunet_grey",
];

/// Compares all executors with PyTorch in all cases of the network `architecture`.
fn agrees_with_pytorch(architecture: &str) {
    let (start, _) =
        ARCHITECTURES.iter().find(|(_, name)| *name == architecture).expect("a known network");
    let (mut ran, mut seen) = (0, BTreeSet::new());
    for folder in cases().iter().filter(|folder| name(folder).starts_with(start)) {
        ran += 1;
        let case = name(folder);
        let checkpoint = formula::checkpoint(folder);
        let model = Model::from_checkpoint(checkpoint, &Options::default());
        let model = model.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(model.architecture(), architecture, "{case}");
        let (dims, input) = input(folder);
        let meta = json(&folder.join("meta.json"));
        let step = meta["step"].as_u64().expect("a step") as usize;
        let output: Vec<usize> = serde_json::from_value(meta["output"].clone()).expect("a shape");
        let expected = npy(&folder.join("output.npy")).1;
        // A network of one channel runs on red, green and blue each by itself.
        let planes = if dims[1] == 1 { 3 } else { 1 };
        let (dims, input) = ([dims[0], 3, dims[2], dims[3]], input.repeat(planes));
        let graph = model.graph(shape(&dims)).unwrap_or_else(|e| panic!("{case}: {e}"));
        let output = Shape { c: 3, ..shape(&output) };
        assert_eq!(graph.shape(graph.outputs()[0]), output, "{case}");
        let graph = Arc::new(graph);
        let all = match ON_CPU_ONLY.contains(&&*case) {
            true => vec![Executor::Twins, Executor::Cpu],
            false => executors(&graph, &mut seen),
        };
        // A driver on the CPU takes most of its time to compile kernels. Those in f16 are all tried by
        // the tests of operations.
        let is_software = support::device().is_some_and(|device| device.info().is_software());
        let all = all.into_iter().filter(|e| *e != Executor::GpuF16 || !is_software);
        for executor in all {
            let start = Instant::now();
            let Some(actual) = support::run(&graph, executor, &[&input]) else { continue };
            let seconds = start.elapsed().as_secs_f64();
            for plane in actual[0].chunks_exact(output.len() / planes) {
                let actual: Vec<f32> = plane.iter().copied().step_by(step).collect();
                let error = relative_error(&actual, &expected);
                eprintln!("{case} {executor:?}: {error:.1e} in {seconds:.1} s");
                let bound = if executor == Executor::GpuF16 { F16 } else { F32 };
                assert!(error <= bound, "{case} {executor:?}: {error:.2e} exceeds {bound:.0e}");
            }
        }
    }
    assert!(ran > 0, "no case is named {start}…");
}

#[test]
fn every_case_has_a_known_architecture() {
    for folder in cases() {
        let case = name(&folder);
        let known = ARCHITECTURES.iter().filter(|(start, _)| case.starts_with(start));
        assert_eq!(known.count(), 1, "{case}: its name begins as no network's, or as several'");
    }
}

#[test]
fn dat_agrees_with_pytorch() {
    agrees_with_pytorch("DAT");
}

#[test]
fn hat_agrees_with_pytorch() {
    agrees_with_pytorch("HAT");
}

#[test]
fn nafnet_agrees_with_pytorch() {
    agrees_with_pytorch("NAFNet");
}

#[test]
fn omnisr_agrees_with_pytorch() {
    agrees_with_pytorch("OmniSR");
}

#[test]
fn plksr_agrees_with_pytorch() {
    agrees_with_pytorch("PLKSR");
}

#[test]
fn realplksr_agrees_with_pytorch() {
    agrees_with_pytorch("RealPLKSR");
}

#[test]
fn realcugan_agrees_with_pytorch() {
    agrees_with_pytorch("Real-CUGAN");
}

#[test]
fn scunet_agrees_with_pytorch() {
    agrees_with_pytorch("SCUNet");
}

#[test]
fn span_agrees_with_pytorch() {
    agrees_with_pytorch("SPAN");
}

#[test]
fn swinir_agrees_with_pytorch() {
    agrees_with_pytorch("SwinIR");
}

/// A picture of one pixel, of one row, and one smaller than the borders that the network mirrors.
#[test]
fn small_pictures_are_enlarged() {
    for folder in cases() {
        let case = name(&folder);
        let model = Model::from_checkpoint(formula::checkpoint(&folder), &Options::default());
        let model = model.unwrap_or_else(|error| panic!("{case}: {error}"));
        let Task::Upscale { factor, multiple, .. } = model.task() else {
            panic!("{case} enlarges nothing");
        };
        let channels = 3;
        for (height, width) in [(1, 1), (1, 30), (5, 2), (19, 3)] {
            let [h, w] = [height, width].map(|n: usize| n.next_multiple_of(multiple));
            let graph = model.graph(Shape::new(1, channels, h, w));
            let graph = graph.unwrap_or_else(|error| panic!("{case} {h}×{w}: {error}"));
            let output = graph.shape(graph.outputs()[0]);
            assert_eq!(output, Shape::new(1, channels, factor * h, factor * w), "{case} {h}×{w}");
        }
    }
}

/// How large a task's radius may be for the test below.
const NEAR: usize = 40;

/// A part of a picture that begins where the network's task says gives what the whole gives, as far
/// from its ends as the task says: so tiles have no seams.
#[test]
fn parts_give_what_the_whole_gives() {
    let mut tried = 0;
    for folder in cases() {
        let case = name(&folder);
        let model = Model::from_checkpoint(formula::checkpoint(&folder), &Options::default());
        let model = model.unwrap_or_else(|error| panic!("{case}: {error}"));
        let Task::Upscale { factor, radius, align, .. } = model.task() else {
            panic!("{case} enlarges nothing");
        };
        if model.averages() || radius > NEAR {
            continue;
        }
        tried += 1;
        let channels = 3;
        let (start, height) = (radius.next_multiple_of(align), 3);
        let run = |width: usize, values: &[f32]| {
            let graph = model.graph(Shape::new(1, channels, height, width));
            let graph = Arc::new(graph.unwrap_or_else(|error| panic!("{case}: {error}")));
            support::run(&graph, Executor::Cpu, &[values]).expect("the CPU is there").remove(0)
        };
        // One column more than the radius on either side of the one that is compared.
        let (width, kept) = (start + 2 * radius + 4, radius + 2);
        let all = noise(7, channels * height * width);
        let part: Vec<f32> =
            all.chunks_exact(width).flat_map(|row| &row[start..]).copied().collect();
        let [whole, part] = [run(width, &all), run(width - start, &part)];
        let column = |values: &[f32], width: usize, column: usize| -> Vec<f32> {
            let rows = values.chunks_exact(factor * width);
            rows.flat_map(|row| &row[factor * column..factor * (column + 1)]).copied().collect()
        };
        let expected = column(&whole, width, start + kept);
        let actual = column(&part, width - start, kept);
        let error = relative_error(&actual, &expected);
        eprintln!("{case}: {error:.1e}");
        assert!(error < 1e-5, "{case}: {error:.1e}");
    }
    assert!(tried >= 2, "only {tried} networks were compared");
}

#[test]
fn a_tensor_that_a_network_does_not_have_is_refused_by_name() {
    for folder in cases() {
        let case = name(&folder);
        let checkpoint = formula::checkpoint(&folder);
        for stray in strays(&checkpoint) {
            let file = with_stray(&checkpoint, &stray);
            let error = Model::from_checkpoint(file, &Options::default());
            let error = error.err().unwrap_or_else(|| panic!("{case}: {stray} was ignored"));
            assert!(error.to_string().contains(&stray), "{case}: {error}");
        }
    }
}

/// Its tensors are named like those of the blocks that there are, which files may hold twice.
#[test]
fn a_span_with_more_blocks_is_refused() {
    for folder in cases().iter().filter(|folder| name(folder).starts_with("span")) {
        let stray = "block_7.c1_r.eval_conv.weight";
        let file = with_stray(&formula::checkpoint(folder), stray);
        let error = Model::from_checkpoint(file, &Options::default()).expect_err("another network");
        assert!(error.to_string().contains(stray), "{error}");
    }
}

#[test]
fn networks_of_grey_pictures_are_refused_by_name() {
    for (case, first, network) in [
        ("nafnet", "intro.weight", "NAFNet"),
        ("omnisr_x2", "input.weight", "OmniSR"),
        ("span_x2", "conv_1.sk.weight", "SPAN"),
    ] {
        let folder = cases().into_iter().find(|folder| name(folder) == case).expect("a case");
        let grey = |param: &Param| match param.name == first {
            true => {
                let dims = [param.dims[0], 1, param.dims[2], param.dims[3]].to_vec();
                let values = vec![0.5; dims.iter().product()];
                Param::from_values(first, dims, &values)
            }
            false => param.clone(),
        };
        let checkpoint = formula::checkpoint(&folder);
        let file = Checkpoint::from_params("grey", checkpoint.tensors().map(grey));
        let error = Model::from_checkpoint(file, &Options::default()).expect_err("another network");
        let told = error.to_string();
        let says = format!("{first}: takes pictures of 1 channels: {network} is supported for RGB");
        assert!(told.contains(&says), "{told}");
    }
}

#[test]
fn a_kbnet_is_not_taken_for_a_nafnet() {
    let folder = cases().into_iter().find(|folder| name(folder) == "nafnet").expect("a case");
    let file = with_stray(&formula::checkpoint(&folder), "encoders.0.0.attgamma");
    let error = Model::from_checkpoint(file, &Options::default()).expect_err("another network");
    assert!(error.to_string().contains("is KBNet"), "{error}");
}

/// What stands before the first number of a name, and behind it.
fn around_number(name: &str) -> Option<(&str, &str)> {
    let start = name.find(|c: char| c.is_ascii_digit())?;
    let end = name[start..].find(|c: char| !c.is_ascii_digit())?;
    Some((&name[..start], &name[start + end..]))
}

/// Layers that are numbered on and on are read once, not once for each of them.
#[test]
fn very_many_layers_are_read_at_once() {
    const LAYERS: usize = 40_000;
    const LONGEST: Duration = Duration::from_secs(3);
    let mut seen = BTreeSet::new();
    for folder in cases() {
        let case = name(&folder);
        let (start, _) = ARCHITECTURES.iter().find(|(s, _)| case.starts_with(s)).expect("a name");
        let checkpoint = formula::checkpoint(&folder);
        for param in checkpoint.tensors() {
            let Some((before, behind)) = around_number(&param.name) else { continue };
            if !seen.insert(format!("{start} {before}")) {
                continue;
            }
            let layer = |i: usize| {
                let values = vec![0.5; param.dims.iter().product()];
                Param::from_values(format!("{before}{i}{behind}"), param.dims.clone(), &values)
            };
            let layers = (0..LAYERS).map(layer);
            let file = Checkpoint::from_params(&case, checkpoint.tensors().cloned().chain(layers));
            let start = Instant::now();
            let error = Model::from_checkpoint(file, &Options::default()).err();
            let error = error.unwrap_or_else(|| panic!("{case}: {before}0{behind} runs"));
            let took = start.elapsed();
            eprintln!("{case}, {before}…: {:.2} s: {error}", took.as_secs_f64());
            assert!(took < LONGEST, "{case}: {before}0{behind} took {took:?}");
        }
    }
}

/// The tensor of another shape, or none.
fn changed(checkpoint: &Checkpoint, name: &str, longer: bool) -> Checkpoint {
    let params = checkpoint.tensors().filter_map(|param| match param.name == name {
        true if longer => {
            let mut dims = param.dims.clone();
            match dims.iter_mut().find(|d| **d > 1) {
                Some(outermost) => *outermost += 1,
                None => dims.insert(0, 2),
            }
            let values = vec![0.5; dims.iter().product()];
            Some(Param::from_values(param.name.clone(), dims, &values))
        }
        true => None,
        false => Some(param.clone()),
    });
    Checkpoint::from_params("changed", params)
}

#[test]
fn a_tensor_that_is_missing_or_misshapen_is_named() {
    let (mut tried, mut failures) = (0, Vec::new());
    for folder in cases() {
        let case = name(&folder);
        let checkpoint = formula::checkpoint(&folder);
        let Shape { n, h, w, .. } = shape(&input(&folder).0);
        for param in checkpoint.tensors() {
            // What they mark is that they are there.
            if matches!(&*param.name, "no_norm" | "pro") {
                continue;
            }
            // Those that the trained convolutions are merged to.
            if param.name.contains(".eval_conv.") && checkpoint.contains("conv_1.sk.weight") {
                continue;
            }
            for longer in [false, true] {
                tried += 1;
                let file = changed(&checkpoint, &param.name, longer);
                let built = Model::from_checkpoint(file, &Options::default())
                    .and_then(|model| model.graph(Shape::new(n, 3, h, w)));
                let what = if longer { "misshapen" } else { "missing" };
                match built {
                    Ok(_) => failures.push(format!("{case}: {} is {what}, unnoticed", param.name)),
                    Err(error) if error.to_string().contains(&param.name) => {}
                    Err(e) => failures.push(format!("{case}: {} is {what}: {e}", param.name)),
                }
            }
        }
    }
    eprintln!("{tried} damaged files");
    assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
}
