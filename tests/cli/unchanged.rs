//! Pictures in which nothing is restored.

use std::fs;

use super::support::Workspace;

const NO_FACE: &str = "--model face.safetensors --faces none.json";

fn without_faces() -> Workspace {
    let workspace = Workspace::new();
    fs::write(workspace.path("none.json"), "{\"faces\": []}").unwrap();
    workspace
}

#[test]
fn a_file_in_which_nothing_changes_is_copied() {
    let workspace = without_faces();
    for extension in ["jpg", "png", "webp", "tif", "bmp", "ppm"] {
        let name = format!("in/a.{extension}");
        workspace.picture(&name, 40, 30);
        // Bytes behind the end, as phones write them, are no part of the picture.
        let mut bytes = fs::read(workspace.path(&name)).unwrap();
        if extension == "jpg" {
            bytes.extend(b"motion");
        }
        fs::write(workspace.path(&name), bytes).unwrap();
    }
    let run = workspace.run(&format!("restore in -o out {NO_FACE}"));
    assert_eq!(run.succeeds().err.matches("the file was copied").count(), 6, "{}", run.err);
    for name in workspace.files("in") {
        let read = |folder: &str| fs::read(workspace.path(folder).join(&name)).unwrap();
        assert!(read("in") == read("out"), "{name}");
    }
}

#[test]
fn another_format_size_or_quality_is_written() {
    let workspace = without_faces();
    workspace.picture("a.jpg", 40, 30);
    for (name, more) in [("b.png", ""), ("c.jpg", "--scale 2"), ("d.jpg", "--quality 50")] {
        let report = workspace.run(&format!("restore a.jpg -o {name} {NO_FACE} {more} --json"));
        assert_eq!(report.succeeds().json()["pictures"][0]["copied"], false, "{name}");
    }
    let bytes = |name: &str| fs::metadata(workspace.path(name)).unwrap().len();
    assert!(bytes("d.jpg") < bytes("a.jpg"));
}

#[test]
fn qualities_are_heeded_and_where_they_mean_nothing_said() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 60, 50);
    let run = |name: &str, more: &str| {
        let run = workspace.run(&format!("restore a.png -o {name} --model x2.safetensors {more}"));
        (fs::metadata(workspace.path(name)).map_or(0, |file| file.len()), run)
    };
    for extension in ["jpg", "webp", "avif"] {
        let size = |q: &str| run(&format!("{q}.{extension}"), &format!("--quality {q}")).0;
        let sizes = ["30", "60", "90"].map(size);
        assert!(sizes[0] > 0 && sizes.is_sorted(), "{extension} {sizes:?}");
    }
    let (whole, run_whole) = run("whole.webp", "");
    assert!(run_whole.succeeds().err.is_empty(), "{}", run_whole.err);
    assert!(whole > fs::metadata(workspace.path("90.webp")).unwrap().len(), "lossless");
    let (_, lossless) = run("b.png", "--quality 60");
    assert!(lossless.succeeds().err.contains("lossless"), "{}", lossless.err);
    let (_, wrong) = run("c.jpg", "--quality 101");
    assert_ne!(wrong.code, 0);
}
