//! Which architecture a file holds: every golden checkpoint, the tensor lists of released ones, and
//! files in which one tensor is missing or misshapen.

use std::path::Path;
use std::sync::Arc;

use pentimento::checkpoint::Checkpoint;
use pentimento::graph::{Encoding, Param, Storage};
use pentimento::models::Options;
use pentimento::{Error, Model, Shape, Task};

use crate::golden::{self, cases, options};
use crate::support::{self, json, name, npy, shape};

/// The architecture that a golden's `arch` or the name of a tensor list tells.
fn architecture(told: &str) -> &'static str {
    const NAMES: &[(&str, &str)] = &[
        ("GFPGANv1Clean", "GFPGANv1Clean"),
        ("GFPGANv1", "GFPGANv1"),
        ("GFPGANBilinear", "GFPGANBilinear"),
        ("FullGenerator", "GPEN"),
        ("StyleGAN2GeneratorClean", "StyleGAN2 (clean)"),
        ("StyleGAN2Generator", "StyleGAN2 (BasicSR)"),
        ("Generator rosinality", "StyleGAN2 (rosinality)"),
        ("RRDBNet", "RRDBNet"),
        ("SRVGGNetCompact", "SRVGGNetCompact"),
        ("CodeFormer", "CodeFormer"),
        ("RestoreFormer", "RestoreFormer"),
        ("RetinaFace", "RetinaFace"),
        ("ParseNet", "ParseNet"),
        ("BiSeNet", "BiSeNet"),
        ("YuNet", "YuNet"),
        ("gfpgan_clean", "GFPGANv1Clean"),
        ("gfpgan_v1", "GFPGANv1"),
        ("gfpgan_bilinear", "GFPGANBilinear"),
        ("gpen", "GPEN"),
        ("sg2_ros", "StyleGAN2 (rosinality)"),
        ("sg2_basicsr", "StyleGAN2 (BasicSR)"),
        ("sg2_clean", "StyleGAN2 (clean)"),
        ("rrdb", "RRDBNet"),
        ("realesrnet", "RRDBNet"),
        ("srvgg", "SRVGGNetCompact"),
        ("codeformer", "CodeFormer"),
        ("restoreformer", "RestoreFormer"),
        ("retinaface", "RetinaFace"),
        ("parsenet", "ParseNet"),
        ("bisenet", "BiSeNet"),
    ];
    let found = NAMES.iter().find(|(start, _)| told.starts_with(start));
    found.unwrap_or_else(|| panic!("{told} is not built")).1
}

/// Either that the network is recognised and all its tensors fit, or what is wrong.
fn build(checkpoint: Checkpoint, options: &Options, input: Shape) -> Result<Model, Error> {
    let model = Model::from_checkpoint(checkpoint, options)?;
    model.graph(input)?;
    Ok(model)
}

/// A golden case: its checkpoint, what the file does not say, and the input's shape.
pub struct Golden {
    pub case: String,
    pub arch: String,
    pub checkpoint: Checkpoint,
    pub options: Options,
    input: Shape,
    /// Tensors that no output depends on.
    dead: Vec<String>,
}

pub fn goldens(shared: &Path) -> Vec<Golden> {
    let yunet = shared.join("models/yunet_n.pth");
    let yunet = Golden {
        case: "yunet_n".to_owned(),
        arch: "YuNet".to_owned(),
        checkpoint: Checkpoint::open(&yunet).expect("a file"),
        options: Options::default(),
        input: Shape::new(1, 3, 64, 64),
        dead: Vec::new(),
    };
    cases(shared)
        .iter()
        .map(|folder| {
            let meta = json(&folder.join("meta.json"));
            let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
            Golden {
                case: name(folder),
                arch: text(&meta["arch"]).expect("an architecture"),
                checkpoint: golden::checkpoint(folder),
                options: options(&meta),
                input: shape(&npy(&folder.join("input.npy")).0),
                dead: meta["dead_keys"].as_array().into_iter().flatten().filter_map(text).collect(),
            }
        })
        .chain([yunet])
        .collect()
}

#[test]
fn every_golden_is_what_it_is() {
    let Some(shared) = support::shared() else { return };
    for golden in goldens(&shared) {
        let Golden { case, arch, checkpoint, options, input, .. } = golden;
        let model = build(checkpoint, &options, input);
        let model = model.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(model.architecture(), architecture(&arch), "{case}");
    }
}

/// Zeros of any length.
struct Zeros(Vec<u8>);

impl AsRef<[u8]> for Zeros {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The networks of `goldens/statedict_keys.json`, the tensor lists of released files: their names
/// there, and the networks, all of whose weights are zero.
pub fn released(shared: &Path) -> Vec<(String, Model)> {
    let lists = json(&shared.join("goldens/statedict_keys.json"));
    let build = |(list, tensors): (&String, &serde_json::Value)| {
        let tensors = tensors.as_object().expect("tensors");
        let shapes: Vec<(&String, Vec<usize>)> = tensors
            .iter()
            .filter(|(_, tensor)| tensor[1] == "float32")
            .map(|(name, tensor)| (name, serde_json::from_value(tensor[0].clone()).expect("dims")))
            .collect();
        let largest = shapes.iter().map(|(_, dims)| dims.iter().product::<usize>()).max();
        let bytes = Encoding::F16.size() * largest.expect("a tensor");
        let zeros: Storage = Arc::new(Zeros(vec![0; bytes]));
        let params = shapes.into_iter().map(|(name, dims)| {
            let bytes = 0..Encoding::F16.size() * dims.iter().product::<usize>();
            Param::new(name, dims, Encoding::F16, zeros.clone(), bytes).expect("it fits")
        });
        let checkpoint = Checkpoint::from_params(list, params);
        let bilinear = serde_json::json!({ "arch": "GFPGANBilinear" });
        let options = match list.starts_with("gfpgan_bilinear") {
            true => options(&bilinear),
            false => Options::default(),
        };
        let model = Model::from_checkpoint(checkpoint, &options);
        (list.clone(), model.unwrap_or_else(|error| panic!("{list}: {error}")))
    };
    lists.as_object().expect("lists").iter().map(build).collect()
}

#[test]
fn every_released_list_of_tensors_is_what_it_is() {
    let Some(shared) = support::shared() else { return };
    for (list, model) in released(&shared) {
        assert_eq!(model.architecture(), architecture(&list), "{list}");
        let graph = model.graph(model.input_shape(64, 64));
        graph.unwrap_or_else(|error| panic!("{list}: {error}"));
    }
}

/// A generator takes `z`, or W+: two codes for each size from 4 pixels on.
#[test]
fn generators_take_a_code_for_each_layer() {
    let Some(shared) = support::shared() else { return };
    for (list, model) in released(&shared) {
        let Task::Generate { latent, size } = model.task() else { continue };
        let codes = 2 * (size.ilog2() as usize - 1);
        for (count, taken) in [(1, true), (codes, true), (2, false), (codes + 1, false)] {
            let built = model.graph(Shape::vector(2, count * latent));
            assert_eq!(built.is_ok(), taken, "{list}: {count} codes");
            assert!(built.err().is_none_or(|e| e.to_string().contains(&format!("{codes} codes"))));
        }
    }
}

/// `checkpoint` with the tensor `name` as `change` leaves it.
fn changed(
    checkpoint: &Checkpoint,
    name: &str,
    change: impl Fn(&Param) -> Option<Param>,
) -> Checkpoint {
    let params = checkpoint.tensors().filter_map(|p| match p.name == name {
        true => change(p),
        false => Some(p.clone()),
    });
    Checkpoint::from_params(&checkpoint.path().display().to_string(), params)
}

/// The same with one row more; a scalar becomes a vector of two.
fn longer(param: &Param) -> Option<Param> {
    let mut dims = param.dims.clone();
    match dims.iter_mut().find(|d| **d > 1) {
        Some(outermost) => *outermost += 1,
        None => dims.insert(0, 2),
    }
    let values = vec![0.5; dims.iter().product()];
    Some(Param::from_values(param.name.clone(), dims, &values))
}

#[test]
fn a_tensor_that_is_missing_or_misshapen_is_named() {
    let Some(shared) = support::shared() else { return };
    let (mut tried, mut failures) = (0, Vec::new());
    for golden in &goldens(&shared) {
        let Golden { case, checkpoint, options, input, dead, .. } = golden;
        for param in checkpoint.tensors().filter(|p| !dead.contains(&p.name)) {
            let missing = changed(checkpoint, &param.name, |_| None);
            let misshapen = changed(checkpoint, &param.name, longer);
            for (what, file) in [("missing", missing), ("misshapen", misshapen)] {
                tried += 1;
                match build(file, options, *input) {
                    // Its codebook may have any length.
                    Ok(model)
                        if model.architecture() == "RestoreFormer"
                            && (what, &*param.name)
                                == ("misshapen", "quantize.embedding.weight") => {}
                    Ok(_) => failures.push(format!("{case}: {} is {what}, unnoticed", param.name)),
                    Err(error) if error.to_string().contains(&param.name) => {}
                    Err(error) => {
                        failures.push(format!("{case}: {} is {what}: {error}", param.name));
                    }
                }
            }
        }
    }
    eprintln!("{tried} damaged files");
    assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
}
