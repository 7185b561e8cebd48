//! Folders with many pictures, and runs that are broken off.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use image::DynamicImage;
use serde_json::Value;

use super::support::{Run, Workspace, skip};

const FILES: usize = 500;
/// One of this many files is broken.
const BROKEN: usize = 20;
const RESTORE: &str = "restore album -o out --model x2.safetensors";

/// Names and whether the file can be restored: all formats, gray, 16 bits and transparency, unicode,
/// names that differ only in case, folders in folders.
fn album(workspace: &Workspace, picture: &dyn Fn(usize) -> DynamicImage) -> BTreeMap<String, bool> {
    let mut files = BTreeMap::new();
    let formats = ["png", "jpg", "webp", "tif", "bmp", "ppm", "JPG"];
    let write = |name: &str, i: usize| {
        let path = workspace.path(&format!("album/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let picture = picture(i);
        let picture = match (formats[i % formats.len()], i % 3) {
            ("png" | "tif", 0) => DynamicImage::from(picture.into_rgb16()),
            ("png" | "webp", 1) => DynamicImage::from(picture.into_rgba8()),
            ("jpg" | "png", 2) => DynamicImage::from(picture.into_luma8()),
            _ => DynamicImage::from(picture.into_rgb8()),
        };
        picture.save(&path).unwrap();
        path
    };
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
        let path = write(&name, i);
        if broken {
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
        write(name, 0);
        files.insert(name.to_owned(), true);
    }
    // What a phone may leave there.
    fs::write(workspace.path("album/phone.heic"), b"\0\0\0\x20ftypheic\0\0\0\0").unwrap();
    files.insert("phone.heic".to_owned(), false);
    files
}

/// Folders that cannot be written or read, and links in circles; what of it is an input and fails
/// goes to `files`.
#[cfg(target_os = "linux")]
fn obstruct(workspace: &Workspace, files: &mut BTreeMap<String, bool>) {
    use std::os::unix::fs::symlink;
    symlink(workspace.path("album"), workspace.path("album/summer/loop")).unwrap();
    symlink("circle.png", workspace.path("album/circle.png")).unwrap();
    fs::create_dir(workspace.path("album/shut")).unwrap();
    for name in ["circle.png", "shut", "locked/a.png"] {
        files.insert(name.to_owned(), false);
    }
    workspace.picture("album/locked/a.png", 9, 9);
    for folder in ["whole/locked", "out/locked"] {
        fs::create_dir_all(workspace.path(folder)).unwrap();
    }
    for (folder, mode) in OBSTRUCTED {
        set_mode(&workspace.path(folder), mode);
    }
}

/// Folders of the album and of its results that are read-only, or not even that.
#[cfg(target_os = "linux")]
const OBSTRUCTED: [(&str, u32); 4] = [
    ("album/summer/été", 0o555),
    ("album/shut", 0),
    ("whole/locked", 0o555),
    ("out/locked", 0o555),
];

#[cfg(target_os = "linux")]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The user that the program runs as where the tests run as root, for whom no folder is read-only.
#[cfg(target_os = "linux")]
const NOBODY: u32 = 65534;

#[cfg(target_os = "linux")]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Makes everything at and below `path` that of [`NOBODY`].
#[cfg(target_os = "linux")]
fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

/// The program in the workspace, as a user who is not root.
#[cfg(target_os = "linux")]
fn program(workspace: &Workspace, arguments: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut path = PathBuf::from(assert_cmd::cargo::cargo_bin!("pentimento"));
    if is_root() {
        // That user may not be able to reach where it was built.
        let copy = workspace.path("pentimento");
        if !copy.exists() {
            fs::copy(&path, &copy).unwrap();
        }
        path = copy;
        give_away(&workspace.path("."));
    }
    let mut command = Command::new(path);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .args(arguments.split_whitespace())
        .args(["--device", "cpu"])
        .current_dir(workspace.path("."))
        .env_remove("PENTIMENTO_MODEL")
        .env("NODEVICE_SELECT", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
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
#[cfg(target_os = "linux")]
fn start(workspace: &Workspace, arguments: &str) -> Child {
    program(workspace, arguments).spawn().unwrap()
}

/// Runs the program to its end.
#[cfg(target_os = "linux")]
fn run(workspace: &Workspace, arguments: &str) -> Run {
    let output = program(workspace, arguments).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits until `is` holds, half a minute at most.
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what} never came");
        sleep(Duration::from_millis(5));
    }
}

/// Numbers from 0 to 1 that differ in every run; a failure says the first.
fn moments() -> [f64; 3] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let moments = [1, 2, 3].map(|i| {
        let mixed = (now ^ i).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40
    });
    let moments = moments.map(|m| m as f64 / (1 << 24) as f64);
    eprintln!("moments: {moments:?}");
    moments
}

/// Restores an album of [`FILES`] files with `arguments`, kills the program at three random moments,
/// and lets it go on.
#[cfg(target_os = "linux")]
fn survive(workspace: &Workspace, picture: &dyn Fn(usize) -> DynamicImage, arguments: &str) {
    let mut files = album(workspace, picture);
    obstruct(workspace, &mut files);
    let good = files.values().filter(|good| **good).count();
    let restore = |out: &str| format!("restore album -o {out} {arguments}");

    let begin = Instant::now();
    let whole = run(workspace, &restore("whole"));
    let time = begin.elapsed();
    assert_eq!(whole.code, 1, "broken files fail: {}", whole.err);
    let whole = results(workspace, "whole");
    assert_eq!(whole.len(), good);
    assert!(whole.values().all(|bytes| !bytes.is_empty()));

    let mut partial = 0;
    for moment in moments() {
        let mut child = start(workspace, &restore("out"));
        sleep(time.mul_f64(0.02 + 0.28 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
        for (name, bytes) in results(workspace, "out") {
            if name.rsplit('/').next().unwrap().starts_with(".pentimento-") {
                partial += 1;
            } else {
                assert!(whole.get(&name) == Some(&bytes), "{name} is partial");
            }
        }
    }
    let known = journalled(workspace).len();
    let last =
        run(workspace, &format!("{} --json --report report.json --html page.html", restore("out")));
    assert_eq!(last.code, 1);
    assert!(results(workspace, "out") == whole, "results differ, or something is left over");
    let report = last.json();
    let number = |name: &str| report[name].as_u64().unwrap() as usize;
    eprintln!(
        "{} files in {:.1} s; three kills left {known} results and {partial} unfinished files; {} \
         restored, {} kept, {} failed",
        files.len(),
        time.as_secs_f64(),
        number("restored"),
        number("kept"),
        number("failed"),
    );
    assert_eq!((number("restored") + number("kept"), number("kept")), (good, known));
    assert_eq!(number("failed"), files.len() - good);
    assert_eq!(report["interrupted"], false);
    for picture in report["pictures"].as_array().unwrap() {
        let name = picture["input"].as_str().unwrap().strip_prefix("album/").unwrap();
        assert_eq!(picture["error"].is_null(), files[name], "{picture}");
        assert_eq!(picture["output"].is_null(), !files[name], "{picture}");
    }
    let written: Value =
        serde_json::from_slice(&fs::read(workspace.path("report.json")).unwrap()).unwrap();
    assert_eq!(written["pictures"].as_array().unwrap().len(), files.len());
    let page = fs::read_to_string(workspace.path("page.html")).unwrap();
    assert_eq!(page.matches("<article>").count(), good);
    assert!(page.contains("out/%F0%9F%8E%82"), "addresses are relative and encoded");

    let again = run(workspace, &format!("{} --json", restore("out"))).json();
    assert_eq!((&again["restored"], &again["kept"]), (&0.into(), &good.into()));
    for (folder, _) in OBSTRUCTED {
        set_mode(&workspace.path(folder), 0o755);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn five_hundred_files_survive_kills_and_broken_files() {
    let workspace = Workspace::new();
    let pixel = |x: u32, y: u32| image::Rgb([x, y, x * y].map(|v| (v * 7 % 256) as u8));
    let picture = |i: usize| {
        let (width, height) = (12 + (i % 17) as u32, 9 + (i % 13) as u32);
        DynamicImage::from(image::RgbImage::from_fn(width, height, pixel))
    };
    survive(&workspace, &picture, "--model x2.safetensors");
    let forced =
        workspace.run("restore album/summer -o forced --model x2.safetensors --force --json");
    assert!(forced.json()["restored"].as_u64().unwrap() > 100);
    let other = workspace.run(&format!("{RESTORE} --json --precision f32 --memory 1GB")).json();
    assert_eq!(other["kept"], 0, "other options");
}

/// The default model and YuNet, as files of a workspace.
const FACES: &str = "--model model.safetensors --detector detector.pth";

/// A workspace with the files of [`FACES`], and the pictures of the data folder `name`; nothing
/// where `PENTIMENTO_SHARED` does not name the folder with data.
fn with_photos(name: &str) -> Option<(Workspace, Vec<PathBuf>)> {
    let Some(shared) = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from) else {
        skip("PENTIMENTO_SHARED does not name the folder with goldens and data");
        return None;
    };
    let workspace = Workspace::new();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mmrbnet-256.safetensors");
    fs::copy(weights, workspace.path("model.safetensors")).unwrap();
    fs::copy(shared.join("models/yunet_n.pth"), workspace.path("detector.pth")).unwrap();
    let photos = fs::read_dir(shared.join("data").join(name)).unwrap();
    let mut photos: Vec<PathBuf> = photos.map(|entry| entry.unwrap().path()).collect();
    photos.retain(|path| path.extension().is_some_and(|e| e == "jpg"));
    photos.sort();
    Some((workspace, photos))
}

/// The same with photos in which faces are searched.
#[test]
#[ignore = "takes some minutes"]
#[cfg(target_os = "linux")]
fn five_hundred_photos_survive_kills_and_broken_files() {
    let Some((workspace, scenes)) = with_photos("scenes") else { return };
    let picture = |i: usize| {
        let side = 96 + 16 * (i % 5) as u32;
        image::open(&scenes[i % scenes.len()]).unwrap().thumbnail(side, side)
    };
    survive(&workspace, &picture, FACES);
}

#[test]
#[ignore = "takes some minutes"]
fn two_hundred_portraits_keep_the_executor_busy() {
    let Some((workspace, portraits)) = with_photos("photos") else { return };
    fs::create_dir(workspace.path("album")).unwrap();
    for i in 0..200 {
        let portrait = image::open(&portraits[i % portraits.len()]).unwrap().thumbnail(512, 512);
        portrait.save(workspace.path(&format!("album/{i}.jpg"))).unwrap();
    }
    let report = workspace.run(&format!("restore album -o out --json {FACES}")).succeeds().json();
    let pictures = report["pictures"].as_array().unwrap();
    let times = pictures.iter().map(|picture| {
        let seconds = |name: &str| picture["seconds"][name].as_f64().unwrap();
        (seconds("began"), seconds("restore"), seconds("read") + seconds("write"))
    });
    let times: Vec<(f64, f64, f64)> = times.collect();
    let first = times.iter().map(|time| time.0).fold(f64::INFINITY, f64::min);
    let last = times.iter().map(|time| time.0 + time.1).fold(0.0, f64::max);
    let sum = |part: fn(&(f64, f64, f64)) -> f64| times.iter().map(part).sum::<f64>();
    let busy = sum(|time| time.1) / (last - first);
    eprintln!(
        "200 portraits in {:.1} s: from the first to the last the executor worked {:.1} % of {:.1} \
         s, while {:.1} s were spent on reading and writing",
        report["seconds"].as_f64().unwrap(),
        100.0 * busy,
        last - first,
        sum(|time| time.2),
    );
    assert_eq!(pictures.len(), 200);
    assert!(busy >= 0.9 && (busy - report["busy"].as_f64().unwrap()).abs() < 0.02, "{busy}");
}

#[test]
#[ignore = "takes some minutes"]
#[cfg(target_os = "linux")]
fn a_thousand_photos_leave_memory_flat() {
    let Some((workspace, scenes)) = with_photos("scenes") else { return };
    fs::create_dir(workspace.path("album")).unwrap();
    for i in 0..1000 {
        let path = workspace.path(&format!("album/{i}.jpg"));
        fs::copy(&scenes[i % scenes.len()], path).unwrap();
    }
    let mut child = start(&workspace, &format!("restore album -o out --quiet {FACES}"));
    let status = format!("/proc/{}/status", child.id());
    // The most memory in use while each tenth of the photos was restored, in kB.
    let mut most = [0_u64; 10];
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        let tenth = (journalled(&workspace).len() / 100).min(9);
        most[tenth] = most[tenth].max(now.unwrap_or(0));
        sleep(Duration::from_millis(200));
    }
    eprintln!("MB by tenths: {:?}", most.map(|kb| kb / 1000));
    assert_eq!(workspace.files("out").len(), 1000);
    // What is kept for every picture, its line in the report, is some hundred bytes.
    let (early, late) = (most[1].max(most[2]), most[8].max(most[9]));
    assert!(late < early + early / 10, "{early} kB, then {late} kB");
}

/// The outputs of which the journal knows.
fn journalled(workspace: &Workspace) -> std::collections::BTreeSet<String> {
    let journal = fs::read_to_string(workspace.path("out/.pentimento.jsonl")).unwrap_or_default();
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some(line["output"].as_str()?.to_owned())).collect()
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
    wait_until("a result", || journalled(&workspace).len() > 3);
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
