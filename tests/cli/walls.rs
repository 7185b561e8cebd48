//! One picture that breaks the program costs that picture alone.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::Workspace;

const RESTORE: &str = "restore album -o out --model x2.safetensors --device cpu";

/// An album of five pictures, and what a run of it leaves with this fault in the third.
fn with_fault(fault: &str, more: &str) -> (Workspace, super::support::Run) {
    let workspace = Workspace::new();
    for i in 1..=5 {
        workspace.picture(&format!("album/{i}.png"), 12, 9);
    }
    let run = workspace.run_with(
        &format!("{RESTORE} {more}"),
        &[("PENTIMENTO_FAULT", fault), ("RUST_BACKTRACE", "")],
    );
    (workspace, run)
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_is_one_failed_picture() {
    for stage in ["read", "restore", "write"] {
        let (workspace, run) = with_fault(&format!("{stage}:panic:3.png"), "--report r.json");
        assert_eq!(run.code, 1, "{stage}: {}", run.err);
        assert_eq!(workspace.files("out"), ["1.png", "2.png", "4.png", "5.png"], "{stage}");
        let errors: Vec<_> = run.err.lines().collect();
        assert_eq!(errors.len(), 1, "{stage}: {}", run.err);
        assert!(errors[0].starts_with("error: album/3.png: "), "{stage}: {}", run.err);
        assert!(errors[0].contains("a test asked for it"), "{stage}: {}", run.err);
        let report = fs::read(workspace.path("r.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        assert_eq!((&report["restored"], &report["failed"]), (&4.into(), &1.into()), "{stage}");
        // The next run goes on, and all is well.
        let again = workspace.run_with(RESTORE, &[]);
        assert!(again.succeeds().out.contains("1 restored, 4 already there"), "{}", again.out);
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_hang_is_one_failed_picture() {
    for stage in ["read", "write"] {
        let fault = format!("{stage}:hang:3.png");
        let (workspace, run) = with_fault(&fault, "--patience 1");
        assert_eq!(run.code, 1, "{stage}: {}", run.err);
        assert_eq!(workspace.files("out"), ["1.png", "2.png", "4.png", "5.png"], "{stage}");
        assert!(run.err.contains("3.png: it took longer than 1 s"), "{stage}: {}", run.err);
    }
}

/// Under a limit of the address space that the program itself fits in.
#[test]
#[cfg(target_os = "linux")]
fn memory_that_is_not_there_is_one_failed_picture() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 12, 9);
    workspace.picture("album/c.png", 12, 9);
    // Of one colour, so that the file is small: 225 million pixels.
    image::GrayImage::new(15_000, 15_000).save(workspace.path("album/b.png")).unwrap();
    let program = assert_cmd::cargo::cargo_bin!("pentimento");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v 2500000; exec '{}' {RESTORE}", program.display()))
        .current_dir(workspace.path("."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("album/b.png: this picture needs about"), "{errors}");
    assert_eq!(workspace.files("out"), ["a.png", "c.png"]);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_not_waited_for() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 12, 9);
    assert!(Command::new("mkfifo").arg(workspace.path("pipe.png")).status().unwrap().success());
    let run = workspace.run("restore a.png pipe.png /dev/zero -o out --model x2.safetensors");
    assert_eq!(run.code, 1);
    assert_eq!(run.err.matches("it is not a file").count(), 2, "{}", run.err);
    assert_eq!(workspace.files("out"), ["a.png"]);
}

/// The program, watching.
fn watch(workspace: &Workspace, folders: &str) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("pentimento"))
        .args(format!("restore {folders} -o out --model x2.safetensors --device cpu").split(' '))
        .args(["--watch", "--report", "report.json"])
        .current_dir(workspace.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} never came");
        sleep(Duration::from_millis(20));
    }
}

/// Ctrl-C: exit code, standard error and the report.
#[cfg(unix)]
fn stop(child: Child, workspace: &Workspace) -> (Option<i32>, String, serde_json::Value) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let report = serde_json::from_slice(&fs::read(workspace.path("report.json")).unwrap()).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), report)
}

#[test]
#[cfg(unix)]
fn watching_goes_on_when_results_are_moved_away() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("in")).unwrap();
    fs::create_dir(workspace.path("done")).unwrap();
    let child = watch(&workspace, "in");
    for i in 0..12 {
        workspace.picture(&format!("in/{i}.png"), 12, 9);
        let (from, to) = (format!("out/{i}.png"), format!("done/{i}.png"));
        wait_until(&from, || fs::rename(workspace.path(&from), workspace.path(&to)).is_ok());
    }
    let (code, errors, report) = stop(child, &workspace);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(report["restored"], 12);
}

#[test]
#[cfg(unix)]
fn watching_goes_on_when_names_collide() {
    let workspace = Workspace::new();
    for folder in ["in1", "in2"] {
        fs::create_dir(workspace.path(folder)).unwrap();
    }
    let child = watch(&workspace, "in1 in2");
    workspace.picture("in1/a.png", 12, 9);
    wait_until("the first", || workspace.path("out/a.png").exists());
    workspace.picture("in2/a.png", 12, 9);
    workspace.picture("in2/b.png", 12, 9);
    wait_until("what follows", || workspace.path("out/b.png").exists());
    let (code, errors, report) = stop(child, &workspace);
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(errors.matches("both in1/a.png and this").count(), 1, "{errors}");
    assert_eq!((&report["restored"], &report["failed"]), (&2.into(), &1.into()));
}

#[test]
#[cfg(unix)]
fn a_file_that_is_still_copied_has_not_failed() {
    let workspace = Workspace::new();
    workspace.picture("whole.png", 60, 50);
    fs::create_dir(workspace.path("in")).unwrap();
    let bytes = fs::read(workspace.path("whole.png")).unwrap();
    let child = watch(&workspace, "in");
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    let mut file = fs::File::create(workspace.path("in/slow.png")).unwrap();
    file.write_all(begin).unwrap();
    // Long enough for some looks.
    sleep(Duration::from_secs(3));
    file.write_all(end).unwrap();
    drop(file);
    wait_until("the result", || Path::new(&workspace.path("out/slow.png")).exists());
    let (code, errors, report) = stop(child, &workspace);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!((&report["restored"], &report["failed"]), (&1.into(), &0.into()));
    assert!(!errors.contains("error"), "{errors}");
}
