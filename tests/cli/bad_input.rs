//! Each thing that can be wrong: one clear sentence, a code that says so, nothing half-written.

use std::fs;

use super::support::{Workspace, upscaler};

#[test]
fn a_missing_picture() {
    let workspace = Workspace::new();
    let run = workspace.run("restore missing.jpg -o b.png --model x2.safetensors");
    run.fails_with(&["missing.jpg", "No such file"]);
    assert!(!workspace.path("b.png").exists());
}

#[test]
fn pictures_that_are_none() {
    let workspace = Workspace::new();
    workspace.picture("whole.png", 40, 40);
    workspace.picture("whole.jpg", 40, 40);
    let half = |name: &str| {
        let bytes = fs::read(workspace.path(name)).unwrap();
        bytes[..bytes.len() / 2].to_vec()
    };
    for (name, bytes, message) in [
        ("text.png", b"I am a text".to_vec(), "not a picture"),
        ("empty.png", Vec::new(), "empty"),
        ("half.png", half("whole.png"), ""),
        ("half.jpg", half("whole.jpg"), "truncated"),
        ("none.ppm", b"P6 0 3 255\n".to_vec(), "no pixels"),
        ("bomb.ppm", b"P6 60000 60000 255\n".to_vec(), "60000×60000"),
    ] {
        fs::write(workspace.path(name), bytes).unwrap();
        let run = workspace.run(&format!("restore {name} -o out.png --model x2.safetensors"));
        run.fails_with(&[name, message]);
    }
    assert!(!workspace.path("out.png").exists());
}

#[test]
fn a_broken_picture_among_good_ones() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 8, 8);
    fs::write(workspace.path("album/b.png"), "broken").unwrap();
    workspace.picture("album/c.png", 8, 8);
    let run = workspace.run("restore album missing.png -o out --model x2.safetensors");
    assert_eq!(run.code, 1);
    assert_eq!(workspace.files("out"), ["a.png", "c.png"]);
    assert_eq!(run.err.lines().count(), 2, "{}", run.err);
    assert!(run.out.contains("2 restored, 2 failed"), "{}", run.out);
}

#[test]
fn pictures_of_other_kinds_in_a_folder_are_named() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 8, 8);
    fs::write(workspace.path("album/a.heic"), b"\0\0\0\x10ftypheic\0\0\0\0").unwrap();
    fs::write(workspace.path("album/b.JP2"), b"\0\0\0\x0CjP  \r\n\x87\n").unwrap();
    fs::write(workspace.path("album/c.pgm"), b"P5 2 2 255\n\x01\x02\x03\x04").unwrap();
    fs::write(workspace.path("album/notes.txt"), "no picture at all").unwrap();
    let run = workspace.run("restore album -o out --model x2.safetensors");
    assert_eq!(run.code, 1);
    for part in ["a.heic: the picture is damaged", "b.JP2: JPEG 2000 is not read"] {
        assert!(run.err.contains(part), "{}", run.err);
    }
    assert!(run.err.contains("1 file of another kind was passed over: notes.txt"), "{}", run.err);
    assert_eq!(run.err.lines().count(), 3, "{}", run.err);
    assert_eq!(workspace.files("out"), ["a.png", "c.pgm.png"]);
}

#[test]
fn fidelities_that_are_none() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    let run = workspace.run("restore a.png -o b.png --model face.safetensors --fidelity 0.5");
    run.fails_with(&["face.safetensors", "MMRB-Net has no fidelity"]);
    let run = workspace.run("restore a.png -o b.png --model face.safetensors --fidelity 1.5");
    assert_ne!(run.code, 0);
    assert!(run.err.contains("expected a number from 0 to 1"), "{}", run.err);
    assert!(!workspace.path("b.png").exists());
}

/// A changed default model is refused where it is meant by default, and used where it is named.
#[test]
fn a_default_model_that_was_changed() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 32, 32);
    fs::create_dir(workspace.path("weights")).unwrap();
    let file = "weights/mmrbnet-256.safetensors";
    fs::copy(workspace.path("face.safetensors"), workspace.path(file)).unwrap();
    for model in ["", "--model default"] {
        let run = workspace.run(&format!("restore a.png -o b.png {model}"));
        run.fails_with(&["mmrbnet-256.safetensors", "SHA-256", "--model FILE"]);
        assert!(!workspace.path("b.png").exists());
    }
    workspace.run(&format!("restore a.png -o b.png --aligned --model {file}")).succeeds();
    // Without a folder `weights` here, it is that of the source tree.
    fs::remove_dir_all(workspace.path("weights")).unwrap();
    let run = workspace.run_with("inspect default", &[]);
    assert!(run.succeeds().out.contains("MMRB-Net"), "{}", run.out);
    let run = workspace.run_with("inspect default", &[("PENTIMENTO_MODEL", "x2.safetensors")]);
    assert!(run.succeeds().out.contains("MMRB-Net"), "{}", run.out);
}

#[test]
fn models_that_are_none() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    let whole = upscaler(&[8, 8]);
    for (name, bytes, parts) in [
        ("cut.safetensors", whole[..whole.len() - 100].to_vec(), ["cut.safetensors", "cut short"]),
        ("head.safetensors", whole[..30].to_vec(), ["head.safetensors", ""]),
        ("text.safetensors", b"I am a text".to_vec(), ["text.safetensors", "not a checkpoint"]),
        ("empty.safetensors", Vec::new(), ["empty.safetensors", ""]),
        ("wrong.safetensors", upscaler(&[8, 5]), ["body.", "has shape"]),
    ] {
        fs::write(workspace.path(name), bytes).unwrap();
        for command in ["restore a.png -o out/ --model", "inspect"] {
            workspace.run(&format!("{command} {name}")).fails_with(&parts);
        }
    }
    workspace.run("restore a.png -o out/ --model missing.pth").fails_with(&["missing.pth"]);
    workspace.run("inspect .").fails_with(&["is a folder"]);
    assert!(!workspace.path("out/a.png").exists());
}

#[test]
fn devices_that_are_not_there() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    let restore = "restore a.png -o b.png --model x2.safetensors --device";
    let run = workspace.run_with(&format!("{restore} nosuchgpu"), &[]);
    run.fails_with(&["nosuchgpu", "available"]);
    let run = workspace.run_with(&format!("{restore} cpu --precision f16"), &[]);
    run.fails_with(&["f16", "--precision"]);
    assert!(!workspace.path("b.png").exists());
}

#[test]
fn without_any_adapter_the_cpu_serves() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    // What Vulkan and OpenGL loaders look at to find their drivers.
    let hidden = [
        ("VK_ICD_FILENAMES", "/nonexistent"),
        ("VK_DRIVER_FILES", "/nonexistent"),
        ("WGPU_BACKEND", "vulkan"),
        ("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent"),
    ];
    let restore = "restore a.png -o b.png --model x2.safetensors";
    if cfg!(target_os = "linux") {
        workspace.run_with(&format!("{restore} --device vulkan"), &hidden).fails_with(&["vulkan"]);
        assert!(!workspace.path("b.png").exists());
        let run = workspace.run_with(&format!("{restore} --json"), &hidden);
        assert_eq!(run.succeeds().json()["device"]["backend"], "cpu");
        assert!(workspace.path("b.png").exists());
    }
}

#[test]
fn outputs_that_cannot_be_written() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    workspace.picture("b/a.png", 8, 8);
    fs::write(workspace.path("file"), "").unwrap();
    fs::create_dir(workspace.path("empty")).unwrap();
    for (arguments, parts) in [
        ("a.png -o file/b.png", ["file/b.png", "cannot write"]),
        ("a.png -o file/deeper/", ["file/deeper", "cannot create the folder"]),
        ("a.png -o missing/b.png", ["missing", "no folder"]),
        ("a.png -o b.xyz", ["b.xyz", "extension"]),
        ("a.png -o /dev/full", ["/dev/full", "extension"]),
        ("a.png -o a.png", ["a.png", "overwritten"]),
        ("b -o b", ["a.png", "overwritten"]),
        ("a.png b/a.png -o one.png", ["one.png", "folder"]),
        ("a.png b/a.png -o file", ["file", "folder"]),
        ("empty -o out", ["empty", "no pictures"]),
    ] {
        let run = workspace.run(&format!("restore {arguments} --model x2.safetensors"));
        run.fails_with(&parts);
    }
    let files = ["a.png", "b/a.png", "face.safetensors", "file", "x2.safetensors"];
    assert_eq!(workspace.files(""), files);
}

#[test]
fn a_budget_that_nothing_fits() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    let run = workspace.run("restore a.png -o b.png --model x2.safetensors --memory 1kB");
    run.fails_with(&["a.png", "MB of memory are needed"]);
}

#[test]
fn arguments_that_mean_nothing() {
    let workspace = Workspace::new();
    for arguments in [
        "restore",
        "restore a.png",
        "restore a.png -o b.png --memory lots",
        "restore a.png -o b.png --precision f64",
        "inspect x2.safetensors --size 0x5",
        "unknown",
    ] {
        let run = workspace.run_with(arguments, &[]);
        assert_eq!(run.code, 2, "{arguments}: {}", run.err);
        assert!(run.err.starts_with("error: "), "{arguments}: {}", run.err);
    }
}
