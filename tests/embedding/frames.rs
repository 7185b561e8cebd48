//! `examples/frames.rs` against the command line.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{model_file, picture};

#[test]
fn a_stream_of_frames_equals_the_command_line() {
    const SIDE: usize = 32;
    let program = assert_cmd::cargo::cargo_bin!("pentimento");
    let example = program.parent().expect("a folder").join("examples/frames");
    let folder = tempfile::tempdir().expect("a folder");
    let frames: Vec<Vec<u8>> = (0..5).map(|seed| picture(seed, SIDE * SIDE * 3)).collect();
    let header = format!("P6\n{SIDE} {SIDE}\n255\n");
    let name = |i: usize| format!("{i}.ppm");
    for (i, frame) in frames.iter().enumerate() {
        std::fs::write(folder.path().join(name(i)), [header.as_bytes(), frame].concat())
            .expect("written");
    }
    let mut stream = Command::new(example)
        .arg(model_file())
        .arg("cpu")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the example was built");
    stream.stdin.take().expect("a pipe").write_all(&frames.concat()).expect("written");
    let stream = stream.wait_with_output().expect("it ran");
    assert!(stream.status.success());

    let output = folder.path().join("out");
    let status = Command::new(program)
        .args(["restore", "--aligned", "--device", "cpu", "--quiet", "--model"])
        .arg(model_file())
        .args([folder.path(), Path::new("-o"), &output])
        .status()
        .expect("it ran");
    assert!(status.success());
    let restored: Vec<Vec<u8>> = (0..frames.len())
        .map(|i| {
            let file = std::fs::read(output.join(name(i))).expect("a picture");
            file[file.len() - SIDE * SIDE * 3..].to_vec()
        })
        .collect();
    assert!(stream.stdout == restored.concat(), "the example and the command line differ");
    assert!(restored[0] != restored[1]);
}
