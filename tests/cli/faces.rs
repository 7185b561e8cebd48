//! Which faces of a picture are restored, and how they are told.

use std::fs;
use std::path::{Path, PathBuf};

use image::ImageDecoder as _;
use serde_json::{Value, json};

use super::print::ink;
use super::support::{Workspace, skip};

/// The folder with photos and a detector, and a workspace with one of them, 512 pixels wide, as
/// `photo.png`; nothing where `PENTIMENTO_SHARED` does not name that folder.
fn photo() -> Option<(PathBuf, Workspace)> {
    let Some(shared) = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from) else {
        skip("PENTIMENTO_SHARED does not name the folder with goldens and data");
        return None;
    };
    let workspace = Workspace::new();
    let photo = image::open(shared.join("data/photos/portrait_00.jpg")).unwrap();
    // A sharp one would be left alone.
    photo.thumbnail(512, 512).blur(1.5).save(workspace.path("photo.png")).unwrap();
    Some((shared, workspace))
}

fn restore(workspace: &Workspace, arguments: &str) -> Value {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mmrbnet-256.safetensors");
    let run = format!("restore photo.png --json --force --model {} {arguments}", model.display());
    workspace.run(&run).succeeds().json()
}

#[test]
fn a_report_is_what_faces_reads() {
    let Some((shared, workspace)) = photo() else { return };
    let detector = shared.join("models/yunet_n.pth").display().to_string();
    restore(&workspace, &format!("-o found.png --report report.json --detector {detector}"));
    let report: Value =
        serde_json::from_slice(&fs::read(workspace.path("report.json")).unwrap()).unwrap();
    let [face] = report["pictures"][0]["faces"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    for (name, most) in [("yaw", 40.0), ("pitch", 30.0), ("roll", 20.0)] {
        assert!(face["pose"][name].as_f64().unwrap().abs() < most, "{face}");
    }
    let seconds = &report["pictures"][0]["seconds"];
    let ended = seconds["began"].as_f64().unwrap() + seconds["restore"].as_f64().unwrap();
    assert!(ended > 0.0 && ended < report["seconds"].as_f64().unwrap(), "{seconds}");

    restore(&workspace, "-o told.png --faces report.json");
    let read = |name: &str| fs::read(workspace.path(name)).unwrap();
    assert!(read("found.png") == read("told.png"));
    assert!(read("found.png") != read("photo.png"));

    let boxes = json!({"faces": [{"bounds": face["bounds"]}]});
    fs::write(workspace.path("boxes.json"), boxes.to_string()).unwrap();
    let report =
        restore(&workspace, &format!("-o boxed.png --faces boxes.json --detector {detector}"));
    let boxed = &report["pictures"][0]["faces"][0];
    let at = |face: &Value, i: usize, axis: usize| face["landmarks"][i][axis].as_f64().unwrap();
    for i in 0..5 {
        let off = (at(face, i, 0) - at(boxed, i, 0)).hypot(at(face, i, 1) - at(boxed, i, 1));
        // The eyes are 83 pixels apart.
        assert!(off < 10.0, "landmark {i} is {off:.1} pixels off");
    }
}

#[test]
fn how_faces_are_blended() {
    let Some((_, workspace)) = photo() else { return };
    let landmarks = json!([[225, 164], [308, 165], [274, 217], [228, 247], [306, 247]]);
    let face = json!({"faces": [{"landmarks": landmarks}]});
    fs::write(workspace.path("faces.json"), face.to_string()).unwrap();
    let read = |name: &str| image::open(workspace.path(name)).unwrap().into_rgb8();
    let changed = |arguments: &str| {
        restore(&workspace, &format!("-o out.png --faces faces.json {arguments}"));
        let (before, after) = (read("photo.png"), read("out.png"));
        before.pixels().zip(after.pixels()).filter(|(a, b)| a != b).count()
    };
    let [oval, square] = ["--mask oval", "--mask square"].map(changed);
    assert!(square > oval && oval > 10_000, "{square} {oval}");
    assert_eq!(changed("--strength 0"), 0);
    restore(&workspace, "-o large.png --faces faces.json --scale 2");
    assert_eq!(read("large.png").dimensions(), (1024, 1024));
    let nowhere = [("PENTIMENTO_CACHE", "nowhere")];
    let run = "restore photo.png -o b.png --faces faces.json --mask face --device cpu";
    workspace.run_with(run, &nowhere).fails_with(&["parsenet"]);
}

/// Without any face, everything that a file holds comes back as it was.
#[test]
fn a_photo_without_faces_keeps_its_samples() {
    let workspace = Workspace::new();
    fs::write(workspace.path("none.json"), r#"{"faces": []}"#).unwrap();
    let deep = |x: u32, y: u32| image::Luma([(x * 1009 + y * 13) as u16]);
    fs::create_dir(workspace.path("in")).unwrap();
    let gray: image::ImageBuffer<image::Luma<u16>, Vec<u16>> =
        image::ImageBuffer::from_fn(40, 30, deep);
    gray.save(workspace.path("in/deep.png")).unwrap();
    let clear = |x: u32, y: u32| image::Rgba([x as u8, y as u8, 9, (x * y % 256) as u8]);
    let rgba = image::RgbaImage::from_fn(40, 30, clear);
    rgba.save(workspace.path("in/clear.webp")).unwrap();
    // Orientation 6: stored on its side.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut file = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
    let kind = image::ExtendedColorType::Rgb8;
    image::ImageEncoder::write_image(encoder, &[5; 3 * 20 * 10], 20, 10, kind).unwrap();
    fs::write(workspace.path("in/turned.png"), file).unwrap();

    let run = "restore in -o out --model face.safetensors --faces none.json";
    workspace.run(run).succeeds();
    let open = |name: &str| image::open(workspace.path(name)).unwrap();
    assert_eq!(open("out/deep.png"), image::DynamicImage::from(gray));
    assert_eq!(open("out/clear.webp").into_rgba8(), rgba);
    let reader = image::ImageReader::open(workspace.path("out/turned.png")).unwrap();
    let mut decoder = reader.into_decoder().unwrap();
    assert_eq!(decoder.dimensions(), (10, 20));
    let upright = image::metadata::Orientation::NoTransforms;
    assert!(decoder.exif_metadata().unwrap().is_some());
    assert_eq!(decoder.orientation().unwrap(), upright);
}

/// The sentences of `tests/photo/front_door.rs`.
#[test]
fn what_does_not_fit_is_said_at_once() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 40, 40);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let detector = root.join("weights/face-detector.safetensors").display().to_string();
    for (arguments, expected) in [
        ("--detector face.safetensors", "MMRB-Net finds no faces; use a detector"),
        (
            "--background face.safetensors",
            "MMRB-Net enlarges no pictures; use an upscaling model as background",
        ),
        (
            "--parser face.safetensors",
            "MMRB-Net does not say what a face's pixels show; use a parser",
        ),
        (
            "--parser face.safetensors --mask oval",
            "a parser is of use to the mask \"face\" alone; leave one of them out",
        ),
        ("--smallest nan", "the smallest distance of the eyes is a number of pixels"),
        ("--model x2.safetensors --scale 2", "SRVGGNetCompact restores no faces; use a face model"),
        (
            &format!("--model {detector}"),
            "YuNet looks at pictures, it does not restore any; use another model",
        ),
    ] {
        let model = if arguments.contains("--model") { "" } else { "--model face.safetensors" };
        let run = workspace.run(&format!("restore a.png -o b.png {model} {arguments}"));
        run.fails_with(&[&format!("error: {expected}")]);
    }
}

#[test]
fn lists_of_faces_that_are_none() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 40, 40);
    for (text, part) in [
        ("nothing", "not a list of faces"),
        (r#"{"faces": [{}]}"#, "without landmarks"),
        (r#"{"faces": [{"bounds": [9, 9, 1, 1]}]}"#, "holds a box"),
        (r#"{"pictures": []}"#, "holds no faces"),
    ] {
        fs::write(workspace.path("faces.json"), text).unwrap();
        let run = "restore a.png -o b.png --model face.safetensors --faces faces.json";
        workspace.run(run).fails_with(&["faces.json", part]);
    }
    // Far away, and far larger than the picture.
    let far = json!({"faces": [
        {"bounds": [1e6, 1e6, 2e6, 2e6]},
        {"bounds": [-4e6, -4e6, 4e6, 4e6]},
        {"landmarks": [[-4e9, -4e9], [4e9, -4e9], [0, 0], [-3e9, 4e9], [3e9, 4e9]]},
    ]});
    fs::write(workspace.path("faces.json"), far.to_string()).unwrap();
    let run = "restore a.png -o b.png --model face.safetensors --faces faces.json --json";
    let report = workspace.run(run).succeeds().json();
    let faces = report["pictures"][0]["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 3);
    assert!(faces.iter().all(|face| face["skipped"].is_string()), "{faces:?}");
}

/// The note, the report and the page say that dots were averaged.
#[test]
fn a_print_is_said_to_be_one() {
    let Some((shared, workspace)) = photo() else { return };
    let mut print = image::open(shared.join("data/photos/portrait_00.jpg")).unwrap().to_luma8();
    for (x, y, pixel) in print.enumerate_pixels_mut() {
        pixel.0 = pixel.0.map(|light| ink([x, y].map(f64::from), light));
    }
    print.save(workspace.path("photo.png")).unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mmrbnet-256.safetensors");
    let run = workspace.run(&format!(
        "restore photo.png -o out.png --report report.json --html page.html --model {}",
        model.display()
    ));
    let note = "face 1 from the left is a print; its dots are averaged";
    assert!(run.succeeds().err.contains(note), "{}", run.err);
    let report = fs::read(workspace.path("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let face = &report["pictures"][0]["faces"][0];
    assert_eq!((&face["printed"], face.get("skipped")), (&Value::Bool(true), None), "{report}");
    let page = fs::read_to_string(workspace.path("page.html")).unwrap();
    assert!(page.contains("restored from a print"));
}
