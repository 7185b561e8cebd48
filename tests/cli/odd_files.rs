//! Albums with names and files that no camera makes: each costs a sentence, and the rest goes on.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::support::Workspace;

const RESTORE: &str = "restore album -o out --model x2.safetensors";

#[test]
fn what_is_not_a_file_costs_a_sentence_each() {
    let workspace = Workspace::new();
    for name in ["a.png", "sub/b.png"] {
        workspace.picture(&format!("album/{name}"), 12, 9);
    }
    let album = workspace.path("album");
    assert!(Command::new("mkfifo").arg(album.join("pipe.png")).status().unwrap().success());
    let _socket = UnixListener::bind(album.join("socket.png")).unwrap();
    symlink("/dev/zero", album.join("zero.png")).unwrap();
    symlink("nowhere.png", album.join("dangling.png")).unwrap();
    symlink("self.png", album.join("self.png")).unwrap();
    symlink("..", album.join("sub/loop")).unwrap();
    symlink("sub", album.join("folder.png")).unwrap();
    symlink("../a.png", album.join("sub/linked.png")).unwrap();
    let run = workspace.run(RESTORE);
    assert_eq!(run.code, 1, "{}", run.err);
    assert_eq!(workspace.files("out"), ["a.png", "sub/b.png", "sub/linked.png"]);
    for name in ["pipe.png", "socket.png", "zero.png", "dangling.png", "self.png"] {
        let lines = run.err.lines().filter(|line| line.contains(name));
        assert_eq!(lines.count(), 1, "{name}: {}", run.err);
    }
    assert_eq!(run.err.matches("it is not a file").count(), 3, "{}", run.err);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("error: ")).count(), 5);
    assert!(run.err.contains("passed over: folder.png, loop"), "{}", run.err);
    assert!(run.out.contains("3 restored, 5 failed, 2 passed over"), "{}", run.out);
}

#[test]
fn names_of_every_kind_keep_their_bytes() {
    let workspace = Workspace::new();
    workspace.picture("album/good.png", 12, 9);
    let album = workspace.path("album");
    let long = format!("{}.png", "x".repeat(251));
    let names: [&[u8]; 6] = [
        b"line\nbreak.png",
        b"\xFFnot utf8\xFE.png",
        b"-o.png",
        b" .png",
        b"$(id).png",
        long.as_bytes(),
    ];
    for name in names {
        fs::copy(album.join("good.png"), album.join(OsStr::from_bytes(name))).unwrap();
    }
    // Its result would have a name that is too long.
    let longest = format!("{}.pgm", "y".repeat(251));
    fs::write(album.join(&longest), "P5 2 2 255\n1234").unwrap();
    let run = workspace.run(RESTORE);
    assert_eq!(run.code, 1, "{}", run.err);
    for name in names {
        assert!(workspace.path("out").join(OsStr::from_bytes(name)).exists(), "{name:?}");
    }
    let [error] = run.err.lines().collect::<Vec<_>>()[..] else { panic!("{}", run.err) };
    assert!(error.starts_with("error: ") && error.contains(&longest), "{error}");
    assert_eq!(run.out.lines().count(), 8, "a line each, and the summary: {}", run.out);
    let again = workspace.run(RESTORE);
    assert!(again.out.contains("7 already there"), "{}{}", again.out, again.err);
}

#[test]
fn inputs_that_disappear_and_outputs_that_cannot_be() {
    let workspace = Workspace::new();
    for name in ["a.png", "b.png", "sub/c.png"] {
        workspace.picture(&format!("album/{name}"), 12, 9);
    }
    // A file stands where the folder of a result must be.
    fs::create_dir(workspace.path("out")).unwrap();
    fs::write(workspace.path("out/sub"), "in the way").unwrap();
    let run = workspace.run(&format!("{RESTORE} album/gone.png"));
    assert_eq!(run.code, 1);
    for name in ["album/gone.png", "out/sub"] {
        let lines = run.err.lines().filter(|line| line.contains(name));
        assert_eq!(lines.count(), 1, "{name}: {}", run.err);
    }
    assert_eq!(workspace.files("out"), ["a.png", "b.png", "sub"]);
    assert_eq!(fs::read(workspace.path("out/sub")).unwrap(), b"in the way");
}

/// A limit on the size of files stands for a full disk.
#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let workspace = Workspace::new();
    workspace.picture("album/a.png", 12, 9);
    workspace.picture("album/b.tif", 200, 150);
    workspace.picture("album/c.png", 12, 9);
    let program = assert_cmd::cargo::cargo_bin!("pentimento");
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f 64; exec '{}' {RESTORE} --device cpu",
            program.display()
        ))
        .current_dir(workspace.path("."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("cannot write out/b.tif: File too large"), "{errors}");
    assert_eq!(workspace.files("out"), ["a.png", "c.png"]);
}
