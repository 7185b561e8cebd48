//! What a newcomer's terminal shows, and what it is spared.

use std::fs;
use std::process::Command;

use super::support::Workspace;

/// No variable at all: ssh, cron and containers give little more.
#[test]
fn a_bare_environment_prints_no_errors() {
    let workspace = Workspace::new();
    workspace.picture("a.png", 12, 9);
    for arguments in [
        "devices",
        "devices --json",
        "inspect x2.safetensors",
        "restore a.png -o b.png --model x2.safetensors -q",
        "restore a.png -o c.png --model x2.safetensors --device cpu -q",
    ] {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("pentimento"))
            .args(arguments.split(' '))
            .env_clear()
            .current_dir(workspace.path("."))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {errors}");
        assert_eq!(errors, "", "{arguments}");
    }
}

#[test]
#[cfg(unix)]
fn names_never_steer_the_terminal() {
    let workspace = Workspace::new();
    let evil = "a\u{1b}]0;owned\u{7}\u{9b}31m\n.png";
    workspace.picture("album/good.png", 12, 9);
    fs::copy(workspace.path("album/good.png"), workspace.path(&format!("album/{evil}"))).unwrap();
    fs::write(workspace.path(&format!("album/b{evil}")), "no picture").unwrap();
    fs::write(workspace.path(&format!("album/{evil}.txt")), "passed over").unwrap();
    let run = workspace.run("restore album -o out --model x2.safetensors");
    assert_eq!(run.code, 1);
    let json = workspace.run("restore album -o out2 --model x2.safetensors --json");
    for text in [&run.out, &run.err, &json.out, &json.err] {
        let harmful = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(harmful), "{text:?}");
    }
    assert!(run.out.contains(r"a\u{1b}]0;owned\u{7}"), "{}", run.out);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("error: ")).count(), 1);
    let pictures = json.json()["pictures"].clone();
    let names: Vec<_> = pictures.as_array().unwrap().iter().map(|p| p["input"].as_str()).collect();
    assert!(names.contains(&Some(&*format!("album/{evil}"))), "{names:?}");
    // A model's metadata is a stranger's text, too.
    let run = workspace.run(&format!("inspect album/{}", "b\u{1b}[31m"));
    assert!(run.code != 0 && !run.err.contains('\u{1b}'), "{:?}", run.err);
}

#[test]
fn what_is_passed_over_is_counted_and_named() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 12, 9);
    for name in ["b.dng", "c.psd", "d", "sub/e.NEF", ".hidden"] {
        fs::create_dir_all(workspace.path("album/sub")).unwrap();
        fs::write(workspace.path("album").join(name), "something").unwrap();
    }
    let run = workspace.run("restore album -o out --model x2.safetensors");
    let said = "note: 4 files of other kinds were passed over: b.dng, c.psd, d, e.NEF";
    assert!(run.succeeds().err.contains(said), "{}", run.err);
    let report = workspace.run("restore album -o out2 --model x2.safetensors --json").json();
    assert_eq!(report["passed_over"].as_array().unwrap().len(), 4, "{report}");
}
