//! `pentimento convert`: from a checkpoint of PyTorch to a model that runs.

use std::fs;
use std::path::PathBuf;

use pentimento::checkpoint::Checkpoint;
use pentimento::{Model, ModelInfo};
use pentimento_convert::{Convert, Options, Source, convert};
use safetensors::SafeTensors;

use super::build::{self, Pickle, SIX, Tensor, six_floats};
use super::corpus::corpus;
use super::support::{Workspace, skip, upscaler};

/// The tiny upscaling model as PyTorch saves it, in each of these containers, with these operations
/// of a pickle after them.
fn checkpoint(containers: &[&str], rest: &[u8]) -> Vec<u8> {
    let model = upscaler(&[8, 8]);
    let parsed = SafeTensors::deserialize(&model).unwrap();
    let mut tensors = parsed.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut pickle = Pickle::new().raw(b"}");
    for container in containers {
        pickle = pickle.text(container).raw(b"}(");
        for (name, view) in &tensors {
            let shape: Vec<i64> = view.shape().iter().map(|&d| d as i64).collect();
            let strides: Vec<i64> =
                (1..=shape.len()).map(|i| shape[i..].iter().product()).collect();
            let numel = shape.iter().product();
            let tensor = Tensor { key: name, numel, shape: &shape, strides: &strides, ..SIX };
            pickle = pickle.text(&format!("module.{name}")).tensor(&tensor);
        }
        pickle = pickle.raw(b"us");
    }
    let storages: Vec<(&str, &[u8])> =
        tensors.iter().map(|(name, view)| (name.as_str(), view.data())).collect();
    build::archive(&pickle.raw(rest).stop(b""), &storages)
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fs::write(workspace.path("model.pth"), checkpoint(&["params"], b"")).unwrap();
    workspace
}

/// What rosinality's training saves beside the weights: `argparse.Namespace(size=64)`.
const NAMESPACE: &[u8] = b"X\x04\0\0\0argscargparse\nNamespace\n)\x81}X\x04\0\0\0sizeK\x40sbs";

/// A tensor that no architecture has.
fn strange() -> Vec<u8> {
    build::archive(&Pickle::dict(&[("strange", SIX)]), &[("0", &six_floats())])
}

#[test]
fn a_checkpoint_becomes_a_model_that_runs_the_same() {
    let workspace = workspace();
    workspace.picture("a.png", 9, 7);
    let run = workspace.run_with("convert model.pth", &[]);
    let says = "model.pth -> model.safetensors  SRVGGNetCompact, 8 tensors, ";
    assert!(run.succeeds().out.starts_with(says), "{}", run.out);
    assert_eq!(run.err, "note: model.pth: names without module.\n");
    for (model, picture) in [("x2.safetensors", "x.png"), ("model.safetensors", "y.png")] {
        workspace.run(&format!("restore a.png -o {picture} --model {model}")).succeeds();
    }
    let read = |name: &str| fs::read(workspace.path(name)).unwrap();
    assert!(read("x.png") == read("y.png"));

    let metadata = &workspace.run("inspect model.safetensors --json").succeeds().json()["metadata"];
    assert_eq!(metadata["architecture"], "SRVGGNetCompact");
    assert_eq!(metadata["converter"], "pentimento-convert 0.1.0");
    assert_eq!(metadata["source_sha256"].as_str().unwrap().len(), 64);
    let parameters = metadata["parameters"].as_str().unwrap();
    let parameters: serde_json::Value = serde_json::from_str(parameters).unwrap();
    assert_eq!(parameters["factor"], "2");
}

#[test]
fn the_program_of_its_own_does_the_same() {
    let workspace = workspace();
    let run = workspace.run_convert("model.pth -o own.safetensors --quiet");
    assert_eq!((run.succeeds().out.as_str(), run.err.as_str()), ("", ""));
    workspace.run_with("convert model.pth", &[]).succeeds();
    let read = |name: &str| fs::read(workspace.path(name)).unwrap();
    assert!(read("own.safetensors") == read("model.safetensors"));
    workspace.run_convert("missing.pth").fails_with(&["cannot read missing.pth"]);
    assert!(workspace.run_convert("--help").succeeds().out.contains("--skip-unknown"));
}

#[test]
fn list_says_what_there_is_and_writes_nothing() {
    let workspace = workspace();
    let both = checkpoint(&["params", "params_ema"], b"X\x04\0\0\0iterK\x07s");
    fs::write(workspace.path("both.pth"), both).unwrap();
    let before = workspace.files("");
    let run = workspace.run_with("convert --list both.pth model.pth x2.safetensors", &[]);
    for part in [
        "took params_ema; others with --key \"params\"",
        "SRVGGNetCompact",
        "left out      iter (an integer)",
        "left out      params (a dictionary)",
        "float32   body.0.weight [8, 3, 3, 3]",
        "format        safetensors",
    ] {
        assert!(run.succeeds().out.contains(part), "{part}: {}", run.out);
    }
    assert_eq!(workspace.files(""), before);
    workspace.run_with("convert --list missing.pth", &[]).fails_with(&["missing.pth"]);
}

#[test]
fn the_weights_can_be_chosen() {
    let workspace = Workspace::new();
    fs::write(workspace.path("b.pth"), checkpoint(&["params", "other"], b"")).unwrap();
    let run = workspace.run_with("convert b.pth", &[]);
    assert!(run.succeeds().err.contains("took params; others with --key \"other\""), "{}", run.err);
    let run = workspace.run_with("convert b.pth -o c.safetensors --key other", &[]);
    assert!(run.succeeds().err.contains("took other"), "{}", run.err);
    let run = workspace.run_with("convert b.pth -o d.safetensors --key ema", &[]);
    run.fails_with(&["b.pth", "no weights under \"ema\"", "\"params\", \"other\""]);
    fs::write(workspace.path("two.pth"), checkpoint(&["one", "two"], b"")).unwrap();
    workspace.run_with("convert two.pth", &[]).fails_with(&["\"one\", \"two\"", "--key"]);
}

#[test]
fn half_precision_spares_what_it_would_damage() {
    let workspace = Workspace::new();
    workspace.run_with("convert x2.safetensors -o half.safetensors --dtype f16", &[]).succeeds();
    let report = workspace.run("inspect half.safetensors --json").succeeds().json();
    assert!(report["types"]["f16"].as_u64().unwrap() > 1000, "{report}");
    assert!(report["types"]["f32"].is_null(), "{report}");
    workspace.picture("a.png", 8, 8);
    workspace.run("restore a.png -o b.png --model half.safetensors").succeeds();

    let six: Vec<u8> = [1e6_f32; 6].iter().flat_map(|v| v.to_le_bytes()).collect();
    let large = build::archive(&Pickle::dict(&[("large", SIX)]), &[("0", &six)]);
    fs::write(workspace.path("large.pth"), large).unwrap();
    let run = workspace.run_with("convert large.pth --dtype f16", &[]);
    assert!(
        run.succeeds().err.contains("large stays float32: 6 values would overflow"),
        "{}",
        run.err
    );
}

#[test]
fn an_unknown_architecture_converts_with_a_warning() {
    let workspace = Workspace::new();
    fs::write(workspace.path("s.pth"), strange()).unwrap();
    let run = workspace.run_with("convert s.pth --arch Strange", &[]);
    assert!(run.succeeds().out.contains("unknown architecture"), "{}", run.out);
    let warning = "warning: the engine cannot run this yet: no known architecture: s.pth";
    assert!(run.err.starts_with(warning), "{}", run.err);
    let file = fs::read(workspace.path("s.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["architecture"], "Strange");
    workspace.run("inspect s.safetensors").fails_with(&["no known architecture"]);
    let run = workspace.run_with("convert x2.safetensors -o y.safetensors --arch Strange", &[]);
    run.fails_with(&["x2.safetensors", "SRVGGNetCompact", "not of Strange"]);
    assert!(!workspace.path("y.safetensors").exists());
}

#[test]
fn foreign_objects_are_dropped_when_asked_for() {
    let workspace = Workspace::new();
    fs::write(workspace.path("train.pt"), checkpoint(&["g", "g_ema", "d"], NAMESPACE)).unwrap();
    let refused = ["train.pt", "\"argparse\".\"Namespace\"", "pentimento convert --skip-unknown"];
    workspace.run_with("convert train.pt", &[]).fails_with(&refused);
    workspace.run("inspect train.pt").fails_with(&refused);
    let run = workspace.run_with("convert train.pt --skip-unknown", &[]);
    for part in ["took g_ema", "g (a dictionary)", "args (an object of argparse.Namespace)"] {
        assert!(run.succeeds().err.contains(part), "{part}: {}", run.err);
    }
    workspace.run("inspect train.safetensors").succeeds();
}

#[test]
fn several_checkpoints_go_to_a_folder() {
    let workspace = workspace();
    fs::create_dir(workspace.path("shards.of")).unwrap();
    fs::copy(workspace.path("x2.safetensors"), workspace.path("shards.of/1.safetensors")).unwrap();
    fs::write(workspace.path("s.ckpt"), strange()).unwrap();
    fs::write(workspace.path("bad.pth"), "no checkpoint").unwrap();
    let run = workspace.run_with("convert model.pth bad.pth s.ckpt shards.of -o out", &[]);
    assert_eq!((run.code, run.out.lines().count()), (1, 3), "{}{}", run.out, run.err);
    assert!(run.err.contains("error: bad.pth: this is a text"), "{}", run.err);
    let expected = ["model.safetensors", "s.safetensors", "shards.of.safetensors"];
    assert_eq!(workspace.files("out"), expected);
    // One goes to a file, unless a folder is named.
    workspace.run_with("convert model.pth -o one.safetensors", &[]).succeeds();
    workspace.run_with("convert model.pth -o folder/", &[]).succeeds();
    assert_eq!(workspace.files("folder"), ["model.safetensors"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let workspace = workspace();
    fs::write(workspace.path("there.safetensors"), "mine").unwrap();
    fs::create_dir(workspace.path("b")).unwrap();
    fs::write(workspace.path("b/model.pth"), strange()).unwrap();
    for (arguments, parts) in [
        ("model.pth -o there.safetensors", ["there.safetensors is there already", "--force"]),
        ("model.pth -o model.pth --force", ["model.pth is the input itself", ""]),
        ("x2.safetensors", ["x2.safetensors is the input itself", ""]),
        ("model.pth -o there.safetensors/x", ["cannot create the folder", "there.safetensors"]),
        ("model.pth -o /dev/null/x.safetensors", ["/dev/null", ""]),
        ("model.pth b/model.pth -o out", ["both model.pth and b/model.pth", "out"]),
        ("b", ["b: ", "holds no .safetensors file"]),
    ] {
        workspace.run_with(&format!("convert {arguments}"), &[]).fails_with(&parts);
    }
    assert_eq!(fs::read(workspace.path("there.safetensors")).unwrap(), b"mine");
    let before =
        ["b/model.pth", "face.safetensors", "model.pth", "there.safetensors", "x2.safetensors"];
    assert_eq!(workspace.files(""), before);
    workspace.run_with("convert model.pth -o there.safetensors --force", &[]).succeeds();
    workspace.run("inspect there.safetensors").succeeds();
    for arguments in ["convert", "convert model.pth --dtype f64"] {
        assert_eq!(workspace.run_with(arguments, &[]).code, 2, "{arguments}");
    }
}

/// The engine finds the same in the names and shapes of a checkpoint, in the checkpoint, and in what
/// it was converted to. `PENTIMENTO_SHARED` names the folder with `goldens/`.
#[test]
fn goldens_are_recognised_without_their_data() {
    let Some(shared) = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from) else {
        skip("PENTIMENTO_SHARED is not set");
        return;
    };
    let workspace = Workspace::new();
    let mut recognised = 0;
    for case in fs::read_dir(shared.join("goldens")).unwrap() {
        let path = case.unwrap().path().join("checkpoint.pth");
        if !path.exists() {
            continue;
        }
        let output = workspace.path("converted.safetensors");
        let overwrite = Convert { overwrite: true, ..Convert::default() };
        convert(&path, &output, &overwrite, &mut |_, _| {}).unwrap();
        let mut source = Source::open(&path, &Options::default()).unwrap();
        let own = Checkpoint::from_source(&mut source, &path).unwrap();
        let own = Model::from_checkpoint(own, &Default::default());
        let Ok(whole) = Model::open(&path) else {
            assert!(own.is_err(), "{}", path.display());
            continue;
        };
        recognised += 1;
        let converted = Model::open(&output).unwrap();
        let text = |info: ModelInfo| serde_json::to_string(&info).unwrap();
        let whole = text(whole.info());
        assert_eq!(text(own.unwrap().info()), whole, "{}", path.display());
        assert_eq!(text(converted.info()), whole, "{}", path.display());
    }
    assert!(recognised > 0);
}

/// All hostile files at once: a line for each, and nothing written.
#[test]
fn hostile_files_are_refused_one_by_one() {
    let workspace = Workspace::new();
    let corpus = corpus();
    let mut arguments = "convert -o out".to_owned();
    for (i, file) in corpus.iter().enumerate() {
        fs::write(workspace.path(&format!("{i}.pth")), &file.bytes).unwrap();
        arguments += &format!(" {i}.pth");
    }
    let run = workspace.run_with(&arguments, &[]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), corpus.len());
    for (i, (line, file)) in lines.into_iter().zip(&corpus).enumerate() {
        assert!(line.starts_with(&format!("error: {i}.pth: ")), "{}: {line}", file.name);
        assert!(line.contains(file.says), "{}: {line}", file.name);
    }
    assert!(workspace.files("out").is_empty());
}
