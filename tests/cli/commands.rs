//! What the commands do when all is well.

use std::path::PathBuf;

use super::support::{Workspace, skip};

#[test]
fn help_names_every_command_and_shows_examples() {
    let workspace = Workspace::new();
    let help = workspace.run_with("--help", &[]);
    for word in ["restore", "convert", "devices", "inspect", "Examples:"] {
        assert!(help.succeeds().out.contains(word), "{word}: {}", help.out);
    }
    for command in ["restore", "convert", "devices", "inspect"] {
        let help = workspace.run_with(&format!("{command} --help"), &[]);
        assert!(help.succeeds().out.contains("Usage: pentimento"), "{}", help.out);
    }
}

#[test]
fn one_picture_to_one_file() {
    let workspace = Workspace::new();
    workspace.picture("a.jpg", 50, 30);
    let run = workspace.run("restore a.jpg -o b.png --model x2.safetensors");
    assert!(run.succeeds().out.contains("a.jpg -> b.png  100x60"), "{}", run.out);
    assert_eq!(image::image_dimensions(workspace.path("b.png")).unwrap(), (100, 60));
}

#[test]
fn a_folder_with_a_face_model() {
    let workspace = Workspace::new();
    for name in ["album/a.png", "album/b.jpg", "album/deeper/c.webp"] {
        workspace.picture(name, 64, 64);
    }
    let run = workspace.run("restore album -o restored --model face.safetensors --aligned");
    assert!(run.succeeds().out.contains("3 restored in"), "{}", run.out);
    assert_eq!(workspace.files("restored"), ["a.png", "b.jpg", "deeper/c.webp"]);
    let path = workspace.path("restored/deeper/c.webp");
    assert_eq!(image::image_dimensions(path).unwrap(), (32, 32));
}

#[test]
fn whole_photos_are_restored_without_options() {
    let Some(shared) = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from) else {
        skip("PENTIMENTO_SHARED does not name the folder with photos");
        return;
    };
    let workspace = Workspace::new();
    let photo = image::open(shared.join("data/photos/portrait_00.jpg")).unwrap();
    // Wider than high, so that it cannot pass for an aligned face.
    let mut wide = image::RgbImage::from_pixel(700, 300, image::Rgb([90, 120, 60]));
    // A sharp face would be left alone.
    let portrait = photo.resize(280, 280, image::imageops::FilterType::Triangle).blur(1.0);
    let portrait = portrait.into_rgb8();
    image::imageops::replace(&mut wide, &portrait, 360, 10);
    wide.save(workspace.path("photo.png")).unwrap();
    let report = workspace.run("restore photo.png -o out.png --json").succeeds().json();
    let faces = report["pictures"][0]["faces"].as_array().expect("faces were searched");
    assert_eq!(faces.len(), 1, "{report}");
    let nose: [f64; 2] = serde_json::from_value(faces[0]["landmarks"][2].clone()).unwrap();
    assert!((nose[0] - 510.0).abs() < 10.0 && (nose[1] - 128.0).abs() < 10.0, "{nose:?}");
    let out = image::open(workspace.path("out.png")).unwrap().into_rgb8();
    assert_eq!(out.dimensions(), wide.dimensions());
    let changed = |x: u32, y: u32| out.get_pixel(x, y) != wide.get_pixel(x, y);
    assert!((0..300).all(|x| !changed(x, x)), "what is no face stays");
    assert!((490..530).any(|x| changed(x, 128)), "the face is restored");
    let named =
        workspace.run("restore photo.png -o named.png -q --model default --detector default");
    named.succeeds();
    let read = |name: &str| std::fs::read(workspace.path(name)).unwrap();
    assert!(read("named.png") == read("out.png"), "the default ones have a name");
}

#[test]
fn the_model_can_come_from_the_environment() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 8, 8);
    let model = [("PENTIMENTO_MODEL", "x2.safetensors")];
    let run = workspace.run_with("restore a.png -o b.png -q --device cpu", &model);
    assert_eq!((run.succeeds().out.as_str(), run.err.as_str()), ("", ""));
}

#[test]
fn the_json_report_holds_successes_and_failures() {
    let workspace = Workspace::new();
    workspace.picture("album/good.png", 9, 7);
    std::fs::write(workspace.path("album/bad.png"), "no picture").unwrap();
    let run = workspace.run("restore album -o out --model x2.safetensors --json");
    assert_eq!(run.code, 1);
    let report = run.json();
    assert_eq!((&report["restored"], &report["failed"]), (&1.into(), &1.into()));
    let [bad, good] = report["pictures"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert!(bad["error"].as_str().unwrap().contains("bad.png: not a picture"), "{bad}");
    assert_eq!(good["input_size"], serde_json::json!([7, 9]));
    assert_eq!(good["output_size"], serde_json::json!([14, 18]));
    assert_eq!(good["tiles"], 1);
    assert_eq!(report["device"]["backend"], "cpu");
}

#[test]
fn the_devices_end_with_the_cpu_and_one_is_the_default() {
    let workspace = Workspace::new();
    let devices = workspace.run_with("devices --json", &[]).succeeds().json();
    let devices = devices.as_array().unwrap();
    assert_eq!(devices.last().unwrap()["backend"], "cpu");
    assert_eq!(devices.iter().filter(|d| d["default"] == true).count(), 1);
    let text = workspace.run_with("devices", &[]);
    assert!(text.succeeds().out.contains("the default: "), "{}", text.out);
}

#[test]
fn inspect_tells_what_a_model_is_and_costs() {
    let workspace = Workspace::new();
    let run = workspace.run("inspect x2.safetensors --size 20x30 --tensors --nodes --plan");
    for part in ["SRVGG", "enlarges any picture 2 times", "60x40 pixels", "body.2.weight [8, 8"] {
        assert!(run.succeeds().out.contains(part), "{part}: {}", run.out);
    }
    let report = workspace.run("inspect face.safetensors --json").succeeds().json();
    assert_eq!(report["task"]["size"], 32);
    assert_eq!(report["run"]["input"], serde_json::json!([1, 3, 32, 32]));
    // 3×3 convolutions 3 → 8 → 8 → 12 at every pixel.
    let report = workspace.run("inspect x2.safetensors --size 20x30 --json").succeeds().json();
    let taps = 9 * (3 * 8 + 8 * 8 + 8 * 12);
    assert_eq!(report["run"]["multiply_adds"], 20 * 30 * taps);
}

#[test]
fn inspect_writes_graphviz() {
    let workspace = Workspace::new();
    workspace.run("inspect x2.safetensors --graph x2.dot").succeeds();
    let dot = std::fs::read_to_string(workspace.path("x2.dot")).unwrap();
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}'), "{dot}");
}

/// The README's first command is `cargo run`, and the package has two programs.
#[test]
fn cargo_run_runs_this_program() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("\ndefault-run = \"pentimento\"\n"));
}
