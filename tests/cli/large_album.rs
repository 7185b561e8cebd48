//! An album of two thousand files, among them all of the matrix of formats, a twentieth of them broken
//! in twenty ways, through three kills.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use image::DynamicImage;

use super::support::Workspace;

const FILES: usize = 2000;
/// One of this many files that are not of the matrix is broken: a twentieth of all.
const BROKEN: usize = 17;
/// A whole picture that makes a build with debug assertions panic.
const PANICS: &str = "0013.png";

fn picture(i: usize) -> DynamicImage {
    let (width, height) = (8 + (i % 17) as u32, 7 + (i % 13) as u32);
    let pixel = |x: u32, y: u32| {
        image::Rgb([x + i as u32, y, x * y + i as u32].map(|v| (v * 7 % 256) as u8))
    };
    DynamicImage::from(image::RgbImage::from_fn(width, height, pixel))
}

/// A PNG that is not one any more, in one of twenty ways; `None`: there is a folder of its name.
fn broken(way: usize, mut png: Vec<u8>) -> Option<Vec<u8>> {
    let (length, header) = (png.len(), 8 + 8);
    // Where the compressed pixels are.
    let pixels = png.windows(4).position(|word| word == b"IDAT").unwrap() + 4;
    let mut claim = |width: u32, height: u32| {
        png[header..header + 4].copy_from_slice(&width.to_be_bytes());
        png[header + 4..header + 8].copy_from_slice(&height.to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(&png[12..29]);
        png[29..33].copy_from_slice(&sum.sum().to_be_bytes());
        Some(png.clone())
    };
    match way {
        0 => Some(Vec::new()),
        1 => Some(b"this is not a picture".to_vec()),
        2 => Some(png[..20].to_vec()),
        3 => Some(png[..length / 2].to_vec()),
        4 => Some(png[..length - 20].to_vec()),
        5 => {
            png[pixels + 2..length - 20].fill(0);
            Some(png)
        }
        6 => Some(b"\0\0\0\x20ftypcrx \0\0\0\0".to_vec()),
        7 => Some(b"\x76\x2F\x31\x01\x02\0\0\0".to_vec()),
        8 => claim(65_536, 65_536),
        9 => claim(0, 7),
        10 => claim(5000, 5000),
        11 => None,
        12 => Some(b"%PDF-1.7\n".to_vec()),
        13 => Some(b"8BPS\0\x01".to_vec()),
        14 => Some(b"\0\0\0\x20ftypisom\0\0\0\0".to_vec()),
        15 => {
            png[30] ^= 0xFF;
            Some(png)
        }
        16 => {
            png[pixels + 4] ^= 0x55;
            Some(png)
        }
        17 => {
            png[header + 8] = 77;
            Some(png)
        }
        18 => Some(b"II*\0\xFF\xFF\xFF\x7F".to_vec()),
        _ => Some(b"\xFF\xD8\xFF\xE0\0\x10JFIF".to_vec()),
    }
}

/// The files of the matrix of formats, which are all restored.
fn matrix(workspace: &Workspace, files: &mut BTreeMap<String, bool>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photo/formats");
    let list = fs::read_to_string(folder.join("files.tsv")).unwrap();
    fs::create_dir_all(workspace.path("album/matrix")).unwrap();
    for name in list.lines().skip(1).filter_map(|line| line.split('\t').next()) {
        let path = format!("matrix/{name}");
        fs::copy(folder.join(name), workspace.path("album").join(&path)).unwrap();
        files.insert(path, true);
    }
}

/// The name of the result of an input.
fn result_of(name: &str) -> String {
    let is_read_only = [".heic", ".jxl"].iter().any(|end| name.ends_with(end));
    if is_read_only { format!("{name}.png") } else { name.to_owned() }
}

/// Names, and whether the file can be restored.
fn album(workspace: &Workspace) -> BTreeMap<String, bool> {
    let mut files = BTreeMap::new();
    matrix(workspace, &mut files);
    for i in 0..FILES - files.len() {
        let folder = ["", "a/", "a/b/", "ü/"][i % 4];
        let extension = ["png", "jpg", "webp", "tif", "bmp", "ppm"][i % 6];
        let is_broken = i % BROKEN == BROKEN - 1;
        let extension = if is_broken { "png" } else { extension };
        let name = match i {
            13 => PANICS.to_owned(),
            _ => format!("{folder}{i:04}.{extension}"),
        };
        let path = workspace.path("album").join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let all = picture(i);
        let all = match (extension, i % 5) {
            ("png" | "tif" | "ppm", 0) => DynamicImage::from(all.into_rgb16()),
            ("png" | "webp" | "bmp", 1) => DynamicImage::from(all.into_rgba8()),
            ("jpg" | "png" | "tif", 2) => DynamicImage::from(all.into_luma8()),
            _ => all,
        };
        all.save(&path).unwrap();
        if is_broken {
            match broken(i / BROKEN % 20, fs::read(&path).unwrap()) {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => {
                    // A folder is no picture, and nothing is in it: it is not an input at all.
                    fs::remove_file(&path).unwrap();
                    fs::create_dir(&path).unwrap();
                    continue;
                }
            }
        }
        files.insert(name.clone(), !is_broken && name != PANICS);
    }
    for name in ["raw.dng", "layers.psd", "letter"] {
        fs::write(workspace.path("album").join(name), "something else").unwrap();
    }
    files
}

fn start(workspace: &Workspace, output: &str) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("pentimento"))
        .args(format!("restore album -o {output} --model x2.safetensors --json").split(' '))
        .args(["--device", "cpu"])
        .env("PENTIMENTO_FAULT", format!("read:panic:{PANICS}"))
        .env_remove("RUST_BACKTRACE")
        .current_dir(workspace.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn results(workspace: &Workspace, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let bytes = fs::read(workspace.path(folder).join(&name)).unwrap();
        (name, bytes)
    };
    workspace.files(folder).into_iter().map(read).collect()
}

#[test]
#[cfg(debug_assertions)]
#[ignore = "takes half a minute"]
fn two_thousand_files_survive_kills_a_panic_and_twenty_kinds_of_damage() {
    let workspace = Workspace::new();
    let files = album(&workspace);
    let good: BTreeSet<String> =
        files.iter().filter(|file| *file.1).map(|file| result_of(file.0)).collect();
    let begin = Instant::now();
    let whole = start(&workspace, "whole").wait_with_output().unwrap();
    let time = begin.elapsed();
    assert_eq!(whole.status.code(), Some(1), "{}", String::from_utf8_lossy(&whole.stderr));
    let whole = results(&workspace, "whole");
    let names: BTreeSet<String> = whole.keys().cloned().collect();
    assert_eq!(names, good);

    let mut now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("random numbers from {now}");
    for _ in 0..3 {
        let mut child = start(&workspace, "out");
        now = now.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ now >> 29;
        sleep(time.mul_f64(0.03 + 0.25 * (now >> 40) as f64 / (1 << 24) as f64));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = start(&workspace, "out").wait_with_output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&last.stdout).unwrap();
    let number = |name: &str| report[name].as_u64().unwrap() as usize;
    assert_eq!(number("restored") + number("kept"), good.len(), "{}", report["restored"]);
    assert!(number("kept") > 0, "the kills left some");
    assert_eq!(number("failed"), files.len() - good.len());
    assert_eq!(report["passed_over"].as_array().unwrap().len(), 3);
    let panicked = String::from_utf8_lossy(&last.stderr).matches("a test asked for it").count();
    assert_eq!(panicked, 1);
    let resumed = results(&workspace, "out");
    let differ = |name: &&String| resumed.get(*name) != whole.get(*name);
    assert_eq!(whole.keys().chain(resumed.keys()).find(differ), None, "other bytes");
    eprintln!(
        "{} files in {:.1} s; {} restored, {} kept, {} failed",
        files.len(),
        time.as_secs_f64(),
        number("restored"),
        number("kept"),
        number("failed"),
    );
}
