//! Files of several pictures: every page and every frame is restored, and none is lost.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use pentimento::photo::{
    Encoding, Metadata, Page, PageKind, Pages, PagesWriter, Picture, ReadOptions,
};

use super::support::Workspace;

const MODEL: &str = "--model x2.safetensors";

fn picture(i: usize, height: usize, width: usize) -> Picture {
    let rgb = (0..height * width * 3).map(|v| (v * 7 + 31 * i) as u8 / 43 * 40).collect();
    Picture { height, width, rgb, alpha: None, icc: None }
}

/// Writes `count` pictures to one file: pages of several sizes, or frames of one.
fn write(workspace: &Workspace, name: &str, count: usize) {
    let path = workspace.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let is_tiff = path.extension().is_some_and(|e| e == "tif");
    let kind = if is_tiff { PageKind::Page } else { PageKind::Frame };
    let file = File::create(&path).unwrap();
    let mut writer = PagesWriter::new(file, &path, kind, count, 3, Encoding::default()).unwrap();
    for i in 0..count {
        let (height, width) = if is_tiff { (9 + i, 12 + 2 * i) } else { (9, 12) };
        let delay = (!is_tiff).then(|| Duration::from_millis(80 + 10 * i as u64));
        writer.write(&picture(i, height, width), &Metadata::default(), delay).unwrap();
    }
    writer.finish().unwrap();
}

fn read(path: &Path) -> (Vec<Page>, u32) {
    let pages = Pages::read(path, &ReadOptions::default()).unwrap();
    let plays = pages.plays();
    (pages.map(Result::unwrap).collect(), plays)
}

#[test]
fn every_page_and_frame_of_an_album_is_restored() {
    let workspace = Workspace::new();
    for name in ["a.tif", "b.gif", "c.png", "d.webp"] {
        write(&workspace, &format!("album/{name}"), 3);
    }
    let run = workspace.run(&format!("restore album -o out {MODEL} --report r.json"));
    assert_eq!(workspace.files("out"), ["a.tif", "b.gif", "c.png", "d.webp"], "{}", run.err);
    run.succeeds();
    assert!(run.out.contains("24x18, 3 pages, ") && run.out.contains("24x18, 3 frames, "));
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(workspace.path("r.json")).unwrap()).unwrap();
    assert_eq!(report["restored"], 4);
    for (i, name) in ["a.tif", "b.gif", "c.png", "d.webp"].into_iter().enumerate() {
        let (before, plays) = read(&workspace.path("album").join(name));
        let (after, again) = read(&workspace.path("out").join(name));
        assert_eq!((before.len(), after.len(), plays), (3, 3, again), "{name}");
        for (before, after) in before.iter().zip(&after) {
            let double = [2 * before.picture.height, 2 * before.picture.width];
            assert_eq!([after.picture.height, after.picture.width], double, "{name}");
            assert_eq!(before.delay, after.delay, "{name}");
        }
        assert_ne!(after[0].picture.rgb[..96], after[2].picture.rgb[..96], "{name}");
        let pages = report["pictures"][i]["pages"].as_array().unwrap();
        assert_eq!(pages.len(), 3, "{name}");
        assert_eq!(pages[2]["output_size"][0], after[2].picture.height, "{name}");
    }
    // What is there is known, and not restored again.
    let again = workspace.run(&format!("restore album -o out {MODEL}"));
    assert!(again.succeeds().out.contains("4 already there"), "{}", again.out);
}

#[test]
fn one_page_can_be_had_as_the_error_says() {
    let workspace = Workspace::new();
    write(&workspace, "a.tif", 3);
    write(&workspace, "a.gif", 4);
    for (name, says, names) in
        [("a.tif", "3 pages", ".tif"), ("a.gif", "4 frames", ".gif, .png or .webp")]
    {
        let run = workspace.run(&format!("restore {name} -o out.jpg {MODEL}"));
        run.fails_with(&["out.jpg", says, names, "--page"]);
        assert!(!workspace.path("out.jpg").exists());
        let run = workspace.run(&format!("restore {name} -o out.png {MODEL} --page 2"));
        assert!(run.succeeds().err.contains("only this one was taken"), "{}", run.err);
        let (pages, _) = read(&workspace.path("out.png"));
        let expected = if name == "a.tif" { [20, 28] } else { [18, 24] };
        assert_eq!([pages[0].picture.height, pages[0].picture.width], expected);
        fs::remove_file(workspace.path("out.png")).unwrap();
        let run = workspace.run(&format!("restore {name} -o out.png {MODEL} --page 7"));
        run.fails_with(&[name, says, "--page asks for number 7"]);
    }
    let run = workspace.run(&format!("restore a.tif -o out.png {MODEL}"));
    run.fails_with(&["3 pages", "PNG", ".tif"]);
    workspace.run(&format!("restore a.gif -o out.png {MODEL}")).succeeds();
    assert_eq!(read(&workspace.path("out.png")).0.len(), 4);
}

#[test]
fn a_damaged_page_fails_its_file_and_leaves_nothing() {
    let workspace = Workspace::new();
    write(&workspace, "album/a.tif", 3);
    workspace.picture("album/b.png", 12, 9);
    let path = workspace.path("album/a.tif");
    let mut bytes = fs::read(&path).unwrap();
    // The second page's compression becomes one that is not read.
    let field = [&[3, 1, 3, 0, 1, 0, 0, 0][..], &[1, 0]].concat();
    let places: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(&field)).collect();
    assert_eq!(places.len(), 3);
    bytes[places[1] + 8] = 6;
    fs::write(&path, bytes).unwrap();
    let run = workspace.run(&format!("restore album -o out {MODEL}"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("album/a.tif: page 2 of 3: "), "{}", run.err);
    assert_eq!(workspace.files("out"), ["b.png"]);
}

#[test]
fn a_file_in_which_nothing_changes_is_copied() {
    let workspace = Workspace::new();
    fs::write(workspace.path("none.json"), r#"{"faces": []}"#).unwrap();
    for name in ["a.tif", "a.gif", "a.png", "a.webp"] {
        write(&workspace, name, 3);
        let output = format!("out-{name}");
        let run = workspace
            .run(&format!("restore {name} -o {output} --model face.safetensors --faces none.json"));
        assert!(run.succeeds().err.contains("the file was copied"), "{}", run.err);
        let [before, after] = [name, &output].map(|name| fs::read(workspace.path(name)).unwrap());
        assert!(before == after, "{name}");
    }
}
