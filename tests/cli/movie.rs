//! Films, by ffmpeg. Where it is not installed these tests are skipped.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::support::{Workspace, skip};

const NO_FACE: &str = "--model face.safetensors --faces none.json";

/// A workspace with a list of no faces; nothing without ffmpeg.
fn workspace() -> Option<Workspace> {
    let there = |name: &str| Command::new(name).arg("-version").output().is_ok();
    if !(there("ffmpeg") && there("ffprobe")) {
        skip("ffmpeg is not installed");
        return None;
    }
    let workspace = Workspace::new();
    fs::write(workspace.path("none.json"), "{\"faces\": []}").unwrap();
    Some(workspace)
}

/// Runs ffmpeg there, with arguments that are separated by spaces.
fn ffmpeg(workspace: &Workspace, arguments: &str) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-y", "-v", "error"])
        .args(arguments.split_whitespace())
        .current_dir(workspace.path("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn probe(workspace: &Workspace, name: &str, arguments: &str) -> Value {
    let output = Command::new("ffprobe")
        .args("-v error -of json".split(' '))
        .args(arguments.split_whitespace())
        .arg(workspace.path(name))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The first stream of moving pictures.
fn video(workspace: &Workspace, name: &str) -> Value {
    probe(workspace, name, "-select_streams v:0 -show_streams")["streams"][0].clone()
}

/// When frames are shown, in seconds.
fn times(workspace: &Workspace, name: &str) -> Vec<f64> {
    let all = probe(workspace, name, "-select_streams v:0 -show_entries packet=pts_time");
    let packets = all["packets"].as_array().unwrap();
    let time = |packet: &Value| packet["pts_time"].as_str().unwrap().parse().unwrap();
    let mut times: Vec<f64> = packets.iter().map(time).collect();
    times.sort_by(f64::total_cmp);
    times
}

#[track_caller]
fn same_times(workspace: &Workspace, before: &str, after: &str) {
    let (before, after) = (times(workspace, before), times(workspace, after));
    assert_eq!(before.len(), after.len());
    for (a, b) in before.iter().zip(&after) {
        assert!((a - b).abs() < 1e-3, "{before:?}\n{after:?}");
    }
}

const PICTURES: &str = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=2";
const SOUND: &str = "-f lavfi -i sine=frequency=440:duration=2";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

#[test]
fn everything_but_the_pictures_stays_as_it_is() {
    let Some(workspace) = workspace() else { return };
    let chapters = ";FFMETADATA1\ntitle=Holidays\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\n\
                    title=Morning\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Noon\n";
    fs::write(workspace.path("meta.txt"), chapters).unwrap();
    fs::write(workspace.path("said.srt"), "1\n00:00:00,200 --> 00:00:01,000\nHello\n").unwrap();
    for (kind, subtitles) in [("mkv", "srt"), ("mp4", "mov_text"), ("mov", "mov_text")] {
        let (from, to) = (format!("in.{kind}"), format!("out.{kind}"));
        ffmpeg(
            &workspace,
            &format!(
                "{PICTURES} {SOUND} -i said.srt -i meta.txt -map 0 -map 1 -map 2 -map_metadata 3 \
                 -map_chapters 3 {H264} -c:a aac -c:s {subtitles} -metadata:s:a:0 language=fra \
                 -t 2 {from}"
            ),
        );
        let run = workspace.run(&format!("restore {from} -o {to} --model x2.safetensors"));
        assert!(run.succeeds().out.contains("50 frames"), "{}{}", run.out, run.err);
        assert_eq!(run.err, "");
        same_times(&workspace, &from, &to);
        for stream in ["a", "s"] {
            let sum = |name: &str| {
                ffmpeg(&workspace, &format!("-i {name} -map 0:{stream} -c copy -f md5 -"))
            };
            assert_eq!(sum(&from), sum(&to), "{kind} {stream}");
        }
        let after = probe(&workspace, &to, "-show_format -show_streams -show_chapters");
        assert_eq!(after["format"]["tags"]["title"], "Holidays", "{kind}");
        assert_eq!(after["chapters"][1]["tags"]["title"], "Noon", "{kind}");
        let streams = after["streams"].as_array().unwrap();
        let (video, sound) = (&streams[0], &streams[1]);
        assert_eq!((&video["width"], &video["height"]), (&128.into(), &96.into()));
        assert_eq!(sound["tags"]["language"], "fra", "{kind}");
        let left: Vec<_> = fs::read_dir(workspace.path(".")).unwrap().collect();
        let hidden = left
            .iter()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0, "nothing is left beside it");
    }
}

#[test]
fn frames_keep_their_own_times() {
    let Some(workspace) = workspace() else { return };
    ffmpeg(
        &workspace,
        &format!(
            "{PICTURES} {SOUND} -vf select=not(mod(n\\,3)-1)+mod(n\\,2) -vsync vfr {H264} -c:a aac \
             in.mp4"
        ),
    );
    let before = times(&workspace, "in.mp4");
    let steps: Vec<f64> = before.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().any(|step| (step - steps[0]).abs() > 0.01), "{steps:?}");
    workspace.run(&format!("restore in.mp4 -o out.mp4 {NO_FACE}")).succeeds();
    same_times(&workspace, "in.mp4", "out.mp4");
}

#[test]
fn ten_bits_and_colours_survive() {
    let Some(workspace) = workspace() else { return };
    let colours =
        "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv";
    ffmpeg(
        &workspace,
        &format!(
            "{PICTURES} -c:v libx265 -preset ultrafast -x265-params \
             log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)\
             L(10000000,1):max-cll=1000,400 -pix_fmt yuv420p10le {colours} -tag:v hvc1 in.mp4"
        ),
    );
    workspace.run(&format!("restore in.mp4 -o out.mp4 {NO_FACE}")).succeeds();
    let (before, after) = (video(&workspace, "in.mp4"), video(&workspace, "out.mp4"));
    for name in
        ["pix_fmt", "color_primaries", "color_transfer", "color_space", "color_range", "width"]
    {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert_eq!(after["pix_fmt"], "yuv420p10le");
    same_times(&workspace, "in.mp4", "out.mp4");
    let screen = |name: &str| {
        let asked = "-select_streams v:0 -read_intervals %+#1 -show_frames";
        probe(&workspace, name, asked)["frames"][0]["side_data_list"].to_string()
    };
    for part in ["34000/50000", "max_content\":1000"] {
        assert!(screen("in.mp4").contains(part), "{}", screen("in.mp4"));
        assert!(screen("out.mp4").contains(part), "{}", screen("out.mp4"));
    }
}

#[test]
fn a_turned_film_is_upright() {
    let Some(workspace) = workspace() else { return };
    ffmpeg(&workspace, &format!("{PICTURES} {H264} flat.mp4"));
    // By the older option, which newer versions lack.
    let turn = |options: &str| {
        Command::new("ffmpeg")
            .args("-nostdin -y -v error".split(' '))
            .args(options.split(' '))
            .current_dir(workspace.path("."))
            .status()
            .is_ok_and(|status| status.success())
    };
    let turned = |name: &str| video(&workspace, name).to_string().contains("rotation");
    let _ = turn("-display_rotation 90 -i flat.mp4 -c copy in.mp4")
        || turn("-i flat.mp4 -c copy -metadata:s:v:0 rotate=90 in.mp4");
    assert!(turned("in.mp4"));
    workspace.run(&format!("restore in.mp4 -o out.mp4 {NO_FACE}")).succeeds();
    let after = video(&workspace, "out.mp4");
    assert_eq!((&after["width"], &after["height"]), (&48.into(), &64.into()));
    assert!(!turned("out.mp4"));
    same_times(&workspace, "in.mp4", "out.mp4");
}

#[test]
fn without_ffmpeg_a_sentence_says_how_to_get_it() {
    let workspace = Workspace::new();
    fs::write(workspace.path("in.mp4"), "a film").unwrap();
    let arguments = "restore in.mp4 -o out.mp4 --model x2.safetensors --device cpu";
    let run = workspace.run_with(arguments, &[("PATH", "")]);
    run.fails_with(&["ffprobe", "not installed", "apt install ffmpeg"]);
}

#[test]
fn what_cannot_be_is_said_in_a_sentence() {
    let Some(workspace) = workspace() else { return };
    fs::write(workspace.path("text.mp4"), "no film").unwrap();
    workspace.picture("a.png", 8, 8);
    ffmpeg(&workspace, &format!("{PICTURES} {H264} in.mp4"));
    ffmpeg(&workspace, &format!("{SOUND} -c:a aac sound.mp4"));
    fs::write(workspace.path("mine.mp4"), "mine").unwrap();
    for (arguments, parts) in [
        ("text.mp4 -o out.mp4", ["text.mp4", "ffmpeg cannot read it"]),
        ("sound.mp4 -o out.mp4", ["sound.mp4", "no moving pictures"]),
        ("missing.mp4 -o out.mp4", ["missing.mp4", "read"]),
        ("in.mp4 -o in.mp4", ["in.mp4", "is the input itself"]),
        ("in.mp4 -o mine.mp4", ["mine.mp4", "--force"]),
        ("in.mp4 -o out.png", ["out.png", ".mp4"]),
        ("in.mp4 a.png -o out", ["films", "one at a time"]),
        ("in.mp4 -o out.mp4 --video-codec nonsense", ["nonsense", "--video-codec"]),
        ("in.mp4 -o out.mp4 --json", ["--json", "films"]),
    ] {
        workspace.run(&format!("restore {arguments} {NO_FACE}")).fails_with(&parts);
    }
    assert_eq!(fs::read(workspace.path("mine.mp4")).unwrap(), b"mine");
}

/// Starts to restore, on the CPU, with a model that takes its time.
#[cfg(unix)]
fn start(workspace: &Workspace) -> std::process::Child {
    Command::new(assert_cmd::cargo::cargo_bin!("pentimento"))
        .args("restore in.mp4 -o out.mp4 --model x2.safetensors --device cpu".split(' '))
        .current_dir(workspace.path("."))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[cfg(unix)]
fn a_stopped_film_can_be_played_and_goes_on() {
    let Some(workspace) = workspace() else { return };
    let long = "-f lavfi -i testsrc2=size=128x96:rate=25:duration=16";
    ffmpeg(&workspace, &format!("{long} -f lavfi -i sine=duration=16 {H264} -c:a aac in.mp4"));
    let child = start(&workspace);
    std::thread::sleep(Duration::from_secs(2));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("the same command goes on"), "{errors}");
    let part = times(&workspace, "out.mp4").len();
    assert!((1..400).contains(&part), "{part} frames");
    ffmpeg(&workspace, "-i out.mp4 -f null -");
    // Killed, it goes on too.
    let mut child = start(&workspace);
    std::thread::sleep(Duration::from_secs(2));
    child.kill().unwrap();
    child.wait().unwrap();
    let run = workspace.run("restore in.mp4 -o out.mp4 --model x2.safetensors");
    assert!(run.succeeds().out.contains("400 frames"), "{}", run.out);
    assert!(run.out.contains("by an earlier run"), "{}", run.out);
    same_times(&workspace, "in.mp4", "out.mp4");
    let sum = |name: &str| ffmpeg(&workspace, &format!("-i {name} -map 0:a -c copy -f md5 -"));
    assert_eq!(sum("in.mp4"), sum("out.mp4"));
    assert!(!workspace.path(".out.mp4.pentimento").exists());
}
