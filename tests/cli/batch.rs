//! `restore --batch`: several faces at a time, of one photo or of several.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::support::Workspace;

/// Rows and columns of photos of one face in docs/whole-photo.jpg, and their side in pixels.
const FACES: [[u32; 2]; 5] = [[0, 0], [0, 1], [1, 1], [1, 0], [2, 1]];
const SIDE: u32 = 320;

/// The landmarks of each at a side of 112 pixels: the detector would take a driver on the CPU a minute.
const LANDMARKS: [[[u32; 2]; 5]; 5] = [
    [[45, 15], [75, 20], [58, 34], [40, 43], [65, 48]],
    [[48, 45], [64, 45], [57, 53], [50, 59], [63, 59]],
    [[51, 35], [61, 34], [55, 41], [52, 46], [60, 46]],
    [[49, 39], [74, 39], [60, 54], [52, 65], [73, 64]],
    [[48, 49], [63, 49], [56, 57], [50, 64], [61, 64]],
];

/// An album of five small photos of a face, one without and one that is broken.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = image::open(root.join("docs/whole-photo.jpg")).unwrap().to_rgb8();
    fs::create_dir(workspace.path("album")).unwrap();
    for (i, [row, column]) in FACES.into_iter().enumerate() {
        let face = image::imageops::crop_imm(&source, SIDE * column, SIDE * row, SIDE, SIDE);
        let face = face.to_image();
        let face = image::imageops::resize(&face, 112, 112, image::imageops::FilterType::Triangle);
        face.save(workspace.path(&format!("album/{i}.png"))).unwrap();
    }
    workspace.picture("album/5.png", 60, 40);
    fs::write(workspace.path("album/6.png"), "broken").unwrap();
    let photo = |(i, landmarks)| serde_json::json!({"input": format!("album/{i}.png"), "faces": [{"landmarks": landmarks}]});
    let mut photos: Vec<_> = LANDMARKS.iter().enumerate().map(photo).collect();
    photos.push(serde_json::json!({"input": "album/5.png", "faces": []}));
    let faces = serde_json::json!({ "pictures": photos }).to_string();
    fs::write(workspace.path("faces.json"), faces).unwrap();
    workspace
}

fn restore(workspace: &Workspace, out: &str, more: &str, fault: &str) -> (i32, String, Value) {
    let run = format!("restore album -o {out} --report {out}.json --faces faces.json {more}");
    let run = workspace.run_with(&run, &[("PENTIMENTO_FAULT", fault), ("RUST_BACKTRACE", "")]);
    let report = fs::read(workspace.path(&format!("{out}.json"))).unwrap();
    (run.code, run.err, serde_json::from_slice(&report).unwrap())
}

fn results(workspace: &Workspace, out: &str) -> Vec<(String, Vec<u8>)> {
    let names = workspace.files(out).into_iter();
    names.map(|name| (name.clone(), fs::read(workspace.path(out).join(name)).unwrap())).collect()
}

#[test]
fn results_are_the_same_however_many_faces_are_restored_at_a_time() {
    let workspace = workspace();
    // The default model takes a driver on the CPU a minute a face. The small one's faces agree with no
    // photo: by how much is said of each.
    let mut devices = vec!["--device cpu".to_owned()];
    let listed = workspace.run_with("devices --json", &[]).succeeds().json();
    let gpu = listed.as_array().unwrap().iter().find_map(|device| device["index"].as_u64());
    devices.extend(gpu.map(|gpu| format!("--device {gpu} --model face.safetensors")));
    for device in devices {
        let (code, err, report) = restore(&workspace, "one", &format!("{device} --batch 1"), "");
        assert_eq!(code, 1, "one is broken: {err}");
        assert_eq!(report["batch"], serde_json::json!({"faces": 1, "together": 0, "alone": 5}));
        let restored = report["restored"].as_u64().unwrap();
        assert!(restored >= 4 || device.contains("--model"), "{report}");
        let expected = results(&workspace, "one");
        assert_eq!(expected.len(), 6);
        for (out, batch, together) in [("four", "--batch 4", 4), ("auto", "", 0)] {
            let (code, err, found) = restore(&workspace, out, &format!("{device} {batch}"), "");
            assert_eq!(code, 1, "one is broken: {err}");
            assert!(results(&workspace, out) == expected, "{batch} {device}");
            let counts = &found["batch"];
            assert_eq!(counts["together"], together, "{counts}");
            assert_eq!(counts["alone"], 5 - together, "{counts}");
            let faces = |report: &Value| {
                let pictures = report["pictures"].as_array().unwrap().clone();
                pictures.into_iter().map(|picture| picture["faces"].clone()).collect::<Vec<_>>()
            };
            assert_eq!(faces(&found), faces(&report));
        }
        // Another number of faces makes no other results: all are there already.
        let (_, _, again) = restore(&workspace, "one", &format!("{device} --batch 2"), "");
        assert_eq!((&again["kept"], &again["restored"]), (&6.into(), &0.into()));
        for out in ["one", "four", "auto"] {
            fs::remove_dir_all(workspace.path(out)).unwrap();
        }
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_among_several_is_one_failed_picture() {
    let workspace = workspace();
    restore(&workspace, "one", "--device cpu --batch 1", "");
    let mut expected = results(&workspace, "one");
    expected.retain(|(name, _)| name != "2.png");
    let (code, err, report) =
        restore(&workspace, "out", "--device cpu --batch 4", "restore:panic:2.png");
    assert_eq!((code, &report["failed"]), (1, &2.into()), "{err}");
    assert!(results(&workspace, "out") == expected, "{err}");
}

#[test]
#[cfg(debug_assertions)]
fn a_device_that_is_lost_among_several_loses_no_picture() {
    let workspace = workspace();
    let listed = workspace.run_with("devices --json", &[]).succeeds().json();
    let gpu = listed.as_array().unwrap().iter().find_map(|device| device["index"].as_u64());
    let Some(gpu) = gpu else {
        super::support::skip("there is no device but the CPU");
        return;
    };
    restore(&workspace, "one", "--device cpu --batch 1 --model face.safetensors", "");
    let devices = format!("--device {gpu},cpu --batch 4 --model face.safetensors");
    let (code, err, report) = restore(&workspace, "out", &devices, "restore:lost:1.png");
    assert_eq!((code, &report["failed"]), (1, &1.into()), "{err}");
    assert_eq!(workspace.files("out"), workspace.files("one"), "{err}");
    let devices = report["devices"].as_array().unwrap();
    assert_eq!(devices.iter().filter(|device| device["lost"].is_string()).count(), 1, "{err}");
}

#[test]
fn a_batch_is_a_number_of_faces() {
    let workspace = Workspace::new();
    for wrong in ["0", "65", "many"] {
        let run = workspace.run(&format!("restore album -o out --batch {wrong}"));
        assert!(
            run.err.contains("expected auto, or a number of faces from 1 to 64"),
            "{}",
            run.err
        );
        assert_eq!(run.code, 2);
    }
}
