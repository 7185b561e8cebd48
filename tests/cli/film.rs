//! Videos through pipes, and frames in a folder.

use std::fs;

use super::support::Workspace;

/// A video of `frames` gray frames of 16×12 pixels, each a level brighter.
fn video(frames: u8) -> Vec<u8> {
    let mut bytes = b"YUV4MPEG2 W16 H12 F25:1 Ip A1:1 C420jpeg\n".to_vec();
    for i in 0..frames {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend([[100 + i; 16 * 12].as_slice(), &[128; 2 * 8 * 6]].concat());
    }
    bytes
}

#[test]
fn a_video_goes_through_a_pipe() {
    let workspace = Workspace::new();
    let output = assert_cmd::cargo::cargo_bin_cmd!("pentimento")
        .args("restore --y4m - --model x2.safetensors --device cpu".split(' '))
        .current_dir(workspace.path("."))
        .env("NODEVICE_SELECT", "1")
        .write_stdin(video(3))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let header = b"YUV4MPEG2 W32 H24 F25:1 Ip A1:1 C420jpeg\n";
    assert!(output.stdout.starts_with(header), "nothing but the video on standard output");
    let frame = b"FRAME\n".len() + 32 * 24 * 3 / 2;
    assert_eq!(output.stdout.len(), header.len() + 3 * frame);
}

#[test]
fn frames_without_faces_keep_every_byte() {
    let workspace = Workspace::new();
    fs::write(workspace.path("in.y4m"), video(4)).unwrap();
    fs::write(workspace.path("faces.json"), "{\"faces\": []}").unwrap();
    let run = "restore --y4m in.y4m -o out.y4m --model face.safetensors --faces faces.json";
    workspace.run(run).succeeds();
    let (before, after) = (video(4), fs::read(workspace.path("out.y4m")).unwrap());
    let frames = |bytes: &[u8]| bytes[bytes.iter().position(|&b| b == b'\n').unwrap()..].to_vec();
    assert!(frames(&before) == frames(&after));
}

#[test]
fn a_damaged_video_is_said() {
    let workspace = Workspace::new();
    let restore = "restore --y4m in.y4m -o out.y4m --model x2.safetensors";
    for (bytes, part) in [
        (b"RIFF, an AVI file\n".to_vec(), "ffmpeg"),
        (video(2)[..400].to_vec(), "cut off"),
        (b"YUV4MPEG2 W16 H12 C444alpha\n".to_vec(), "444alpha"),
    ] {
        fs::write(workspace.path("in.y4m"), bytes).unwrap();
        workspace.run(restore).fails_with(&[part]);
    }
    let run = workspace.run("restore a.png --model x2.safetensors");
    assert!(run.code != 0 && run.err.contains("--output"), "{}", run.err);
}

#[test]
fn deep_videos_keep_every_byte() {
    let workspace = Workspace::new();
    fs::write(workspace.path("faces.json"), "{\"faces\": []}").unwrap();
    for (kind, samples) in [
        ("420p10", 16 * 12 * 3 / 2),
        ("422", 16 * 12 * 2),
        ("444p12", 16 * 12 * 3),
        ("mono16", 192),
    ] {
        let mut video = format!("YUV4MPEG2 W16 H12 F25:1 Ip A1:1 C{kind}\n").into_bytes();
        for i in 0..2 {
            video.extend_from_slice(b"FRAME\n");
            let bytes = if kind == "422" { 1 } else { 2 };
            video.extend((0..samples * bytes).map(|at| {
                let high = at % 2 == 1 && bytes == 2;
                if high { 1 } else { (at * 7 + i) as u8 }
            }));
        }
        fs::write(workspace.path("in.y4m"), &video).unwrap();
        let run = format!(
            "restore --y4m in.y4m -o {kind}.y4m --model face.safetensors --faces faces.json"
        );
        workspace.run(&run).succeeds();
        assert!(fs::read(workspace.path(&format!("{kind}.y4m"))).unwrap() == video, "{kind}");
    }
}
