//! The fuzz targets on their seeds, and on files changed at random for two seconds each, or for as many
//! as PENTIMENTO_FUZZ_SECONDS says. `fuzz/` has the same ones for cargo-fuzz, which also sees which
//! changes reach new code.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, panic};

#[path = "../../tools/convert/tests/hostile/change.rs"]
mod change;
#[path = "../../fuzz/targets.rs"]
mod targets;

use change::{Random, change};

const SECONDS: u64 = 2;
/// No small file needs more memory than this, in bytes.
const MEMORY: usize = 2 << 30;

#[test]
fn picture() {
    run("picture");
}

#[test]
fn jpeg() {
    run("jpeg");
}

#[test]
fn tiff() {
    run("tiff");
}

#[test]
fn png() {
    run("png");
}

#[test]
fn webp() {
    run("webp");
}

#[test]
fn bitmap() {
    run("bitmap");
}

#[test]
fn jxl() {
    run("jxl");
}

#[test]
fn heif() {
    run("heif");
}

#[test]
fn written() {
    run("written");
}

#[test]
fn exif() {
    run("exif");
}

#[test]
fn faces() {
    run("faces");
}

#[test]
fn video() {
    run("video");
}

#[test]
fn metadata() {
    run("metadata");
}

#[test]
fn architecture() {
    run("architecture");
}

/// Every seed, and then changed ones for some time.
fn run(name: &str) {
    let target = targets::TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seconds = env::var("PENTIMENTO_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let seeds = (target.seeds)();
    for seed in &seeds {
        try_file(&target, seed);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (start, mut runs) = (Instant::now(), 0);
    while start.elapsed() < time {
        let mut file = seeds[random.below(seeds.len())].clone();
        let other = &seeds[random.below(seeds.len())];
        for _ in 0..1 + random.below(6) {
            change(&mut file, other, target.words, &mut random);
        }
        try_file(&target, &file);
        runs += 1;
    }
    assert!(runs > 0);
    let memory = most_memory();
    eprintln!("{name}: {runs} changed, {} seeds, at most {} MB", seeds.len(), memory / 1_000_000);
    assert!(memory < MEMORY, "{memory}");
}

fn try_file(target: &targets::Target, file: &[u8]) {
    let before = Instant::now();
    let result = panic::catch_unwind(|| (target.run)(file));
    if result.is_err() || before.elapsed() > Duration::from_secs(10) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
        fs::write(&path, file).unwrap();
        panic!("{} fails, or takes long", path.display());
    }
}

/// The most memory that this process has used, in bytes; 0 where the system does not say.
fn most_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.map_or(0, |n| n * 1024)
}
