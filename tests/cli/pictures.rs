//! Pictures of unusual sizes and contents.

use std::fs;

use image::{ImageDecoder, ImageEncoder};

use super::support::Workspace;

/// Tiles come from a memory budget here; the result must be that of one piece.
#[test]
fn tiles_leave_no_seams() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 301, 203);
    let whole = workspace.run("restore a.png -o whole.png --model x2.safetensors --json");
    assert_eq!(whole.succeeds().json()["pictures"][0]["tiles"], 1);
    let run = "restore a.png -o tiled.png --model x2.safetensors --json --memory 1MB";
    let tiled = workspace.run(run);
    let tiles = tiled.succeeds().json()["pictures"][0]["tiles"].as_u64().unwrap();
    assert!(tiles > 4, "{tiles} tiles");
    let read = |name: &str| image::open(workspace.path(name)).unwrap().into_rgb8();
    let (whole, tiled) = (read("whole.png"), read("tiled.png"));
    assert_eq!(whole.dimensions(), (602, 406));
    // Sums are the same, their order may differ at the border of a tile: one level, rarely.
    let far = whole.iter().zip(tiled.iter()).filter(|(a, b)| a.abs_diff(**b) > 1).count();
    assert_eq!(far, 0);
}

#[test]
fn one_pixel_and_a_long_line() {
    let workspace = Workspace::new();
    workspace.picture("dot.png", 1, 1);
    workspace.picture("line.png", 30_000, 10);
    for (model, dot, line) in [("x2", (2, 2), (60_000, 20)), ("face", (32, 32), (32, 32))] {
        let run = workspace.run(&format!(
            "restore dot.png line.png -o {model} --model {model}.safetensors --aligned"
        ));
        run.succeeds();
        let size = |name: &str| image::image_dimensions(workspace.path(model).join(name)).unwrap();
        assert_eq!((size("dot.png"), size("line.png")), (dot, line));
    }
}

#[test]
fn a_face_that_is_not_square_is_noted() {
    let workspace = Workspace::new();
    workspace.picture("wide.png", 80, 40);
    let run = workspace.run("restore wide.png -o out.png --model face.safetensors --aligned");
    assert!(run.succeeds().err.contains("stretched from 80×40"), "{}", run.err);
}

#[test]
fn a_result_too_large_for_its_format_is_said_before_the_work() {
    let workspace = Workspace::new();
    workspace.picture("line.png", 30_000, 1);
    let run = workspace.run("restore line.png -o line.webp --model x2.safetensors");
    run.fails_with(&["line.webp", "60000×2", "16384"]);
    assert!(!workspace.path("line.webp").exists());
}

#[test]
fn transparency_and_colour_profile_survive() {
    let workspace = Workspace::new();
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"RGB ");
    let mut file = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.set_icc_profile(profile.clone()).unwrap();
    let pixels = [10, 20, 30, 40].repeat(6 * 5);
    encoder.write_image(&pixels, 6, 5, image::ExtendedColorType::Rgba8).unwrap();
    std::fs::write(workspace.path("a.png"), file).unwrap();

    workspace.run("restore a.png -o b.png --model x2.safetensors").succeeds();
    let reader = image::ImageReader::open(workspace.path("b.png")).unwrap();
    let mut decoder = reader.into_decoder().unwrap();
    assert_eq!(decoder.icc_profile().unwrap(), Some(profile));
    let picture = image::DynamicImage::from_decoder(decoder).unwrap().into_rgba8();
    assert_eq!(picture.dimensions(), (12, 10));
    assert!(picture.pixels().all(|p| p.0[3] == 40));
}

#[test]
fn a_damaged_picture_is_refused_or_salvaged() {
    let workspace = Workspace::new();
    workspace.picture("whole.jpg", 40, 40);
    let whole = fs::read(workspace.path("whole.jpg")).unwrap();
    // Behind the marker of the pixels' data and its header, the end is missing.
    fs::write(workspace.path("cut.jpg"), &whole[..whole.len() * 3 / 4]).unwrap();
    let run = workspace.run("restore cut.jpg -o out.png --model x2.safetensors");
    run.fails_with(&["cut.jpg", "truncated", "from row ", "--salvage keeps what can be read"]);
    let run = workspace.run("restore cut.jpg -o out.png --model x2.safetensors --salvage");
    run.succeeds();
    assert!(run.err.contains("cut.jpg: the picture is damaged"), "{}", run.err);
    assert_eq!(image::open(workspace.path("out.png")).unwrap().width(), 80);
    fs::write(workspace.path("open.jpg"), &whole[..whole.len() - 2]).unwrap();
    let run = workspace.run("restore open.jpg -o open.png --model x2.safetensors");
    assert!(run.succeeds().err.contains("lacks its end marker"), "{}", run.err);
}

#[test]
fn cameras_raw_files_are_named() {
    let workspace = Workspace::new();
    // A directory with nothing but the version of DNG.
    let dng = b"II*\0\x08\0\0\0\x01\0\x12\xC6\x01\0\x04\0\0\0\x01\x04\0\0\0\0\0\0";
    fs::write(workspace.path("a.dng"), dng).unwrap();
    let run = workspace.run("restore a.dng -o out.png --model x2.safetensors");
    run.fails_with(&["a.dng", "(DNG) is not read", "develop it"]);
    assert!(!workspace.path("out.png").exists());
}
