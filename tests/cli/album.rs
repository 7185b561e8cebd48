//! Folders with many pictures, and runs that are broken off.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::Workspace;

const FILES: usize = 500;
/// One of this many files is broken.
const BROKEN: usize = 20;
const RESTORE: &str = "restore album -o out --model x2.safetensors";

/// Names and whether the file can be restored: all formats, unicode, names that differ only in
/// case, folders in folders.
fn album(workspace: &Workspace) -> BTreeMap<String, bool> {
    let mut files = BTreeMap::new();
    let formats = ["png", "jpg", "webp", "tif", "bmp", "ppm", "JPG"];
    for i in 0..FILES {
        let folder = ["", "summer/", "summer/été/", "写真/"][i % 4];
        let stem = match i % 5 {
            0 => format!("IMG {i}"),
            1 => format!("img_{i}"),
            2 => format!("Grüße-{i}"),
            3 => format!("ночь{i}"),
            _ => format!("🎂{i}"),
        };
        let name = format!("{folder}{stem}.{}", formats[i % formats.len()]);
        let broken = i % BROKEN == 7;
        workspace.picture(&format!("album/{name}"), 12 + (i % 17) as u32, 9 + (i % 13) as u32);
        if broken {
            let path = workspace.path(&format!("album/{name}"));
            let bytes = fs::read(&path).unwrap();
            // Cut short, of another kind, or empty.
            let bytes = match i % 3 {
                0 => bytes[..bytes.len().min(20)].to_vec(),
                1 => b"this is no picture".to_vec(),
                _ => Vec::new(),
            };
            fs::write(path, bytes).unwrap();
        }
        files.insert(name, !broken);
    }
    for name in ["Case.png", "case.png"] {
        workspace.picture(&format!("album/{name}"), 10, 10);
        files.insert(name.to_owned(), true);
    }
    files
}

/// Every result and its bytes.
fn results(workspace: &Workspace, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let bytes = fs::read(workspace.path(folder).join(&name)).unwrap();
        (name, bytes)
    };
    workspace.files(folder).into_iter().map(read).collect()
}

/// Starts the program and does not wait for it.
fn start(workspace: &Workspace, arguments: &str) -> std::process::Child {
    Command::new(assert_cmd::cargo::cargo_bin!("pentimento"))
        .args(arguments.split_whitespace())
        .args(["--device", "cpu"])
        .current_dir(workspace.path("."))
        .env("NODEVICE_SELECT", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until `is` holds, half a minute at most.
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what} never came");
        sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn five_hundred_files_survive_kills_and_broken_files() {
    let workspace = Workspace::new();
    let files = album(&workspace);
    let good = files.values().filter(|good| **good).count();
    // A loop of links, and a file where a folder of results must be.
    std::os::unix::fs::symlink(workspace.path("album"), workspace.path("album/summer/loop"))
        .unwrap();

    let whole = workspace.run(&RESTORE.replace("out", "whole"));
    assert_eq!(whole.code, 1, "broken files fail");
    let whole = results(&workspace, "whole");
    assert_eq!(whole.len(), good);
    assert!(whole.values().all(|bytes| !bytes.is_empty()));

    for part in [1, 3, 5] {
        let mut child = start(&workspace, RESTORE);
        let enough = good * part / 7;
        wait_until("the results", || {
            workspace.path("out").is_dir() && results_so_far(&workspace) > enough
        });
        child.kill().unwrap();
        child.wait().unwrap();
        for (name, bytes) in results(&workspace, "out") {
            if !name.rsplit('/').next().unwrap().starts_with(".pentimento-") {
                assert!(whole.get(&name) == Some(&bytes), "{name} is partial");
            }
        }
    }
    let run = workspace.run(&format!("{RESTORE} --json --report report.json --html page.html"));
    assert_eq!(run.code, 1);
    assert!(results(&workspace, "out") == whole, "results differ, or something is left over");
    let report = run.json();
    let number = |name: &str| report[name].as_u64().unwrap() as usize;
    assert_eq!(number("restored") + number("kept"), good);
    assert_eq!(number("failed"), files.len() - good);
    assert!(number("kept") > good / 2, "{}", number("kept"));
    assert_eq!(report["interrupted"], false);
    for picture in report["pictures"].as_array().unwrap() {
        let name = picture["input"].as_str().unwrap().strip_prefix("album/").unwrap();
        assert_eq!(picture["error"].is_null(), files[name], "{picture}");
        assert_eq!(picture["output"].is_null(), !files[name], "{picture}");
    }
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(workspace.path("report.json")).unwrap()).unwrap();
    assert_eq!(written["pictures"].as_array().unwrap().len(), files.len());
    let page = fs::read_to_string(workspace.path("page.html")).unwrap();
    assert_eq!(page.matches("<article>").count(), good);
    assert!(page.contains("out/%F0%9F%8E%82"), "addresses are relative and encoded");

    let again = workspace.run(&format!("{RESTORE} --json")).json();
    assert_eq!(again["restored"], 0);
    let forced =
        workspace.run("restore album/summer -o out/summer --model x2.safetensors --force --json");
    assert!(forced.json()["restored"].as_u64().unwrap() > 100);
    let other = workspace.run(&format!("{RESTORE} --json --precision f32 --memory 1GB")).json();
    assert_eq!(other["kept"], 0, "other options");
}

fn results_so_far(workspace: &Workspace) -> usize {
    let journal = fs::read_to_string(workspace.path("out/.pentimento.jsonl"));
    journal.map_or(0, |text| text.lines().count())
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_made_stops_only_its_own_pictures() {
    let workspace = Workspace::new();
    for name in ["a.png", "x/b.png", "y/c.png"] {
        workspace.picture(&format!("album/{name}"), 8, 8);
    }
    fs::create_dir(workspace.path("out")).unwrap();
    fs::write(workspace.path("out/x"), "a file where a folder must be").unwrap();
    let run = workspace.run(RESTORE);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("create the folder out/x"), "{}", run.err);
    assert_eq!(workspace.files("out"), ["a.png", "x", "y/c.png"]);
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_finishes_what_was_begun() {
    let workspace = Workspace::new();
    for i in 0..400 {
        workspace.picture(&format!("album/{i:03}.png"), 40, 40);
    }
    let child = start(&workspace, &format!("{RESTORE} --json"));
    wait_until("a result", || results_so_far(&workspace) > 3);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    let restored = report["restored"].as_u64().unwrap() as usize;
    assert!((1..400).contains(&restored), "{restored}");
    assert_eq!(workspace.files("out").len(), restored);
    assert!(workspace.files("out").iter().all(|name| !name.starts_with('.')));
}

#[test]
#[cfg(target_os = "linux")]
fn a_watched_folder_is_restored_as_it_fills() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 8, 8);
    let child = start(&workspace, &format!("{RESTORE} --watch --quiet --report report.json"));
    let there = |name: &str| Path::new(&workspace.path(name)).exists();
    wait_until("the first result", || there("out/a.png"));
    workspace.picture("album/later/b.png", 8, 8);
    fs::write(workspace.path("album/broken.png"), "no picture").unwrap();
    wait_until("the second result", || there("out/later/b.png"));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one was broken");
    let text = fs::read(workspace.path("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((&report["restored"], &report["failed"]), (&2.into(), &1.into()));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.matches("broken.png").count(), 1, "{errors}");
}
