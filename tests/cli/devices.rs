//! Pipes, devices and links where files are expected: nothing waits for them, nothing takes their
//! place, and nothing is written through them.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::Command;
use std::thread;

use super::support::Workspace;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("in")).unwrap();
    workspace.picture("in/a.png", 9, 7);
    workspace
}

fn pipe(workspace: &Workspace, name: &str) {
    assert!(Command::new("mkfifo").arg(workspace.path(name)).status().unwrap().success());
}

fn is_pipe(workspace: &Workspace, name: &str) -> bool {
    fs::symlink_metadata(workspace.path(name)).unwrap().file_type().is_fifo()
}

const RESTORE: &str = "restore in -o out --model x2.safetensors";
const ONE: &str = "restore in/a.png -o z.png --model x2.safetensors";

#[test]
fn a_journal_that_is_a_pipe_or_a_link_is_refused() {
    let workspace = workspace();
    fs::create_dir(workspace.path("out")).unwrap();
    pipe(&workspace, "out/.pentimento.jsonl");
    workspace.run(RESTORE).fails_with(&[".pentimento.jsonl", "not a file", "remove it"]);
    fs::remove_file(workspace.path("out/.pentimento.jsonl")).unwrap();
    fs::write(workspace.path("mine.txt"), "notes of my own\n").unwrap();
    symlink("../mine.txt", workspace.path("out/.pentimento.jsonl")).unwrap();
    workspace.run(RESTORE).fails_with(&[".pentimento.jsonl", "not a file", "remove it"]);
    assert_eq!(fs::read_to_string(workspace.path("mine.txt")).unwrap(), "notes of my own\n");
    // The advice helps.
    fs::remove_file(workspace.path("out/.pentimento.jsonl")).unwrap();
    workspace.run(RESTORE).succeeds();
}

#[test]
fn a_pipe_in_place_of_the_journal_of_an_input_folder_is_passed_by() {
    let workspace = workspace();
    fs::create_dir(workspace.path("in/b")).unwrap();
    pipe(&workspace, "in/b/.pentimento.jsonl");
    symlink("/dev/zero", workspace.path("in/.pentimento.jsonl")).unwrap();
    workspace.run(RESTORE).succeeds();
    assert!(workspace.path("out/a.png").exists());
}

#[test]
fn no_input_is_a_pipe() {
    let workspace = workspace();
    for name in ["p.png", "p.mp4", "p.json", "p.safetensors", "p.pth"] {
        pipe(&workspace, name);
    }
    for line in [
        "restore p.png -o z.png --model x2.safetensors",
        "restore p.mp4 -o z.mp4 --model x2.safetensors",
        "restore in/a.png -o z.png --model face.safetensors --faces p.json",
        "restore in/a.png -o z.png --model p.safetensors",
    ] {
        workspace.run(line).fails_with(&["p.", "it is not a file"]);
    }
    for line in ["inspect p.pth", "convert p.pth -o z.safetensors"] {
        workspace.run_with(line, &[]).fails_with(&["p.pth", "it is not a file"]);
    }
}

#[test]
fn nothing_takes_the_place_of_a_pipe() {
    let workspace = workspace();
    pipe(&workspace, "p.png");
    pipe(&workspace, "p.safetensors");
    workspace.run("restore in/a.png -o p.png --model x2.safetensors --force").fails_with(&[
        "p.png",
        "a device or a pipe",
        "choose another output",
    ]);
    workspace
        .run_with("convert x2.safetensors -o p.safetensors --force", &[])
        .fails_with(&["p.safetensors", "a device or a pipe"]);
    assert!(is_pipe(&workspace, "p.png") && is_pipe(&workspace, "p.safetensors"));
}

#[test]
fn a_report_goes_into_a_pipe() {
    let workspace = workspace();
    pipe(&workspace, "report");
    let path = workspace.path("report");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    workspace.run(&format!("{RESTORE} --report report")).succeeds();
    let report: serde_json::Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
    assert_eq!(report["restored"], 1);
    assert!(is_pipe(&workspace, "report"));
}

#[test]
fn reports_replace_nothing_that_the_run_reads_or_writes() {
    let workspace = workspace();
    let input = fs::read(workspace.path("in/a.png")).unwrap();
    let model = fs::read(workspace.path("x2.safetensors")).unwrap();
    for (line, name) in [
        (format!("{ONE} --report z.png"), "a result"),
        (format!("{ONE} --html ./in/../z.png"), "a result"),
        (format!("{ONE} --force --report in/a.png"), "an input"),
        (format!("{ONE} --force --html x2.safetensors"), "a model"),
        (format!("{ONE} --report q --html q"), "the page"),
        (format!("{RESTORE} --html out/a.png"), "a result"),
        (format!("{RESTORE} --report out/.pentimento.jsonl"), "the journal"),
    ] {
        workspace.run(&line).fails_with(&["it would replace", name, "choose another name"]);
    }
    assert!(!workspace.path("z.png").exists() && !workspace.path("q").exists());
    assert_eq!(fs::read(workspace.path("in/a.png")).unwrap(), input);
    assert_eq!(fs::read(workspace.path("x2.safetensors")).unwrap(), model);
}

#[test]
#[cfg(target_os = "linux")]
fn a_report_that_cannot_be_written_costs_neither_page_nor_last_line() {
    let workspace = workspace();
    workspace.picture("in/b.png", 5, 8);
    let run = workspace.run(&format!("{RESTORE} --report /dev/full --html page.html"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("cannot write /dev/full: No space left"), "{}", run.err);
    assert!(run.out.contains("2 restored in "), "{}", run.out);
    assert!(workspace.path("page.html").exists());
}
