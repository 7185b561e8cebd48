//! The fuzz targets on their seeds, and on files changed at random for two seconds each, or for as many
//! as PENTIMENTO_FUZZ_SECONDS says. `fuzz/` has the same ones for cargo-fuzz, which also sees which
//! changes reach new code.

use std::{
    env, fs, panic,
    path::Path,
    time::{Duration, Instant},
};

use change::{Random, change};

#[path = "hostile/build.rs"]
#[allow(dead_code)]
mod build;
#[path = "hostile/change.rs"]
mod change;
#[path = "hostile/corpus.rs"]
#[allow(dead_code)]
mod corpus;
#[path = "nameless/ncnn.rs"]
mod ncnn;
#[path = "nameless/networks.rs"]
#[allow(dead_code)]
mod networks;
#[path = "nameless/onnx.rs"]
#[allow(dead_code)]
mod onnx;
#[path = "../fuzz/targets.rs"]
mod targets;

const SECONDS: u64 = 2;

#[test]
fn zip() {
    run("zip");
}

#[test]
fn legacy() {
    run("legacy");
}

#[test]
fn pickle() {
    run("pickle");
}

#[test]
fn safetensors() {
    run("safetensors");
}

#[test]
fn onnx() {
    run("onnx");
}

#[test]
fn ncnn() {
    run("ncnn");
}

/// Every seed, and then changed ones for some time.
fn run(name: &str) {
    let target = targets::TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seconds = env::var("PENTIMENTO_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let seeds = (target.seeds)();
    assert!(seeds.len() > 10, "{}", seeds.len());
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
    println!("{name}: {runs} changed, {} seeds", seeds.len());
}

fn try_file(target: &targets::Target, file: &[u8]) {
    let before = Instant::now();
    let result = panic::catch_unwind(|| (target.run)(file));
    if result.is_err() || before.elapsed() > Duration::from_secs(2) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
        fs::write(&path, file).unwrap();
        panic!("{} fails, or takes long", path.display());
    }
}
