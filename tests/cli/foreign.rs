//! Models of ONNX and ncnn on the command line: they become checkpoints that run as the checkpoint
//! does that they were made of, and every command says what it took and what it left out.

use std::fs;

use super::build;
use super::networks::{self, Named};
use super::onnx::Store;
use super::support::Workspace;
use super::{ncnn, networks::Rrdb};

/// The tensors as a safetensors file.
fn safetensors(tensors: &[Named]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, dims, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        entries.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{dims:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    build::safetensors(&format!("{{{}}}", entries.join(",")), &data)
}

/// A workspace with two networks, each as a checkpoint, an ONNX file and two models of ncnn; and a
/// picture.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let write = |name: &str, bytes: &[u8]| fs::write(workspace.path(name), bytes).unwrap();
    let (srvgg, rrdb) = (networks::srvgg(), networks::rrdb());
    write("srvgg.safetensors", &safetensors(&srvgg));
    write("srvgg.onnx", &networks::srvgg_onnx(&srvgg, |_, _| Store::Raw));
    write("rrdb.safetensors", &safetensors(&rrdb));
    write("rrdb.onnx", &networks::rrdb_onnx(&rrdb, networks::RRDB));
    for (name, model) in [
        ("srvgg", networks::srvgg_ncnn(&srvgg, ncnn::Store::F32, false)),
        ("half", networks::srvgg_ncnn(&srvgg, ncnn::Store::F16, false)),
        ("resized", networks::srvgg_ncnn(&srvgg, ncnn::Store::F32, true)),
        ("rrdb", networks::rrdb_ncnn(&rrdb, ncnn::Store::F32)),
    ] {
        write(&format!("{name}.param"), &model.text());
        write(&format!("{name}.bin"), &model.bin);
    }
    workspace.picture("a.png", 11, 9);
    workspace
}

#[test]
fn each_restores_as_the_checkpoint_that_it_was_made_of() {
    let workspace = workspace();
    let read = |name: &str| fs::read(workspace.path(name)).unwrap();
    for (checkpoint, models) in [
        ("srvgg.safetensors", &["srvgg.onnx", "srvgg.param", "half.param"][..]),
        ("rrdb.safetensors", &["rrdb.onnx", "rrdb.param"]),
    ] {
        workspace.run(&format!("restore a.png -o own.png --model {checkpoint} --force")).succeeds();
        for model in models {
            // As it is, and converted.
            let run = workspace.run(&format!("restore a.png -o b.png --model {model} --force"));
            assert!(run.succeeds().err.is_empty(), "{model}: {}", run.err);
            assert!(read("own.png") == read("b.png"), "{model}");
            let output = format!("of-{model}.safetensors");
            workspace.run_with(&format!("convert {model} -o {output}"), &[]).succeeds();
            workspace.run(&format!("restore a.png -o b.png --model {output} --force")).succeeds();
            assert!(read("own.png") == read("b.png"), "{model}, converted");
            let report = workspace.run(&format!("inspect {output} --json")).succeeds().json();
            assert_eq!(
                report["metadata"]["source_sha256"].as_str().map(str::len),
                Some(
                    // Those of the list of layers and of the weights.
                    if model.ends_with(".param") { 129 } else { 64 }
                ),
                "{report}"
            );
        }
    }
}

#[test]
fn every_command_says_what_it_left_out() {
    let workspace = workspace();
    let says = "resizes the result by 0.5";
    let inspected = workspace.run("inspect resized.param");
    assert!(inspected.succeeds().out.contains(says), "{}", inspected.out);
    let json = workspace.run("inspect resized.param --json").succeeds().json();
    assert_eq!(json["taken"]["left_out"], 1, "{json}");
    assert!(json["taken"]["left_out_first"][0].as_str().unwrap().contains(says), "{json}");
    let restored = workspace.run("restore a.png -o b.png --model resized.param");
    assert!(
        restored.succeeds().err.starts_with("note: resized.param: left out "),
        "{}",
        restored.err
    );
    assert!(restored.err.contains(says), "{}", restored.err);
    let quiet = workspace.run("restore a.png -o c.png --model resized.param --quiet");
    assert_eq!(quiet.succeeds().err, "");
    let converted = workspace.run_with("convert resized.param", &[]);
    assert!(converted.succeeds().err.contains(says), "{}", converted.err);
    let listed = workspace.run_with("convert --list resized.param", &[]);
    assert!(listed.succeeds().out.contains(says), "{}", listed.out);
    // What nothing was left out of says nothing.
    let plain = workspace.run("inspect srvgg.param");
    assert!(!plain.succeeds().out.contains("left out"), "{}", plain.out);
}

#[test]
fn a_relative_is_refused_by_every_command() {
    let workspace = workspace();
    let other = networks::rrdb_onnx(&networks::rrdb(), Rrdb { slope: 0.3, ..networks::RRDB });
    fs::write(workspace.path("other.onnx"), other).unwrap();
    let says = ["other.onnx", "RRDBNet", "Bring the .pth or .safetensors"];
    workspace.run("inspect other.onnx").fails_with(&says);
    workspace.run("restore a.png -o b.png --model other.onnx").fails_with(&says);
    workspace.run_with("convert other.onnx", &[]).fails_with(&says);
    assert!(!workspace.path("other.safetensors").exists() && !workspace.path("b.png").exists());
}

#[test]
fn the_weights_of_ncnn_are_found_by_its_list_of_layers() {
    let workspace = workspace();
    // The advice is to name the list of layers, which `inspect` does below.
    workspace.run("inspect srvgg.bin").fails_with(&["srvgg.bin", "name the list of its layers"]);
    workspace.run("inspect srvgg.param").succeeds();
    fs::remove_file(workspace.path("srvgg.bin")).unwrap();
    workspace.run("inspect srvgg.param").fails_with(&["cannot read", "srvgg.bin"]);
    let half = fs::read(workspace.path("half.bin")).unwrap();
    fs::write(workspace.path("half.bin"), &half[..half.len() / 2]).unwrap();
    for command in ["inspect half.param", "restore a.png -o b.png --model half.param"] {
        workspace.run(command).fails_with(&["half.param"]);
    }
    let onnx = fs::read(workspace.path("srvgg.onnx")).unwrap();
    fs::write(workspace.path("cut.onnx"), &onnx[..onnx.len() - 40]).unwrap();
    workspace.run_with("convert cut.onnx", &[]).fails_with(&["cut.onnx", "ONNX"]);
    assert!(!workspace.path("cut.safetensors").exists());
}

/// Whatever place `--list` names, `--key` takes.
#[test]
fn every_place_that_is_listed_can_be_taken() {
    let workspace = workspace();
    let tensors = networks::srvgg();
    let named = |prefix: &str| {
        let renamed = |(name, dims, values): &Named| {
            (format!("{prefix}{name}"), dims.clone(), values.clone())
        };
        tensors.iter().map(renamed).collect::<Vec<Named>>()
    };
    let all = [named("generator."), named("generator_ema."), named("discriminator.")].concat();
    fs::write(workspace.path("all.safetensors"), safetensors(&all)).unwrap();
    let listed = workspace.run_with("convert --list all.safetensors", &[]).succeeds().out.clone();
    let mut keys: Vec<&str> =
        listed.split("--key \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    keys.push("generator_ema.");
    assert_eq!(keys.len(), 3, "{listed}");
    for (i, key) in keys.iter().enumerate() {
        let output = format!("{i}.safetensors");
        workspace
            .run_with(&format!("convert all.safetensors -o {output} --key {key}"), &[])
            .succeeds();
        workspace.run(&format!("inspect {output}")).succeeds();
    }
    let run = workspace.run("restore a.png -o b.png --model all.safetensors");
    assert!(run.succeeds().err.contains("took the weights \"generator_ema.\""), "{}", run.err);
    assert!(run.err.contains("left out ") && run.err.contains(" more"), "{}", run.err);
}
