//! The fuzz targets on files changed at random, for some seconds each. `fuzz/` has the same ones for
//! cargo-fuzz, which also sees which changes reach new code.

use std::{
    fs, panic,
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

/// Operations of pickles, and words that all three formats are made of.
const WORDS: [&[u8]; 24] = [
    b"(",
    b")",
    b"}",
    b"]",
    b"s",
    b"u",
    b"t",
    b"R",
    b"b",
    b"Q",
    b"K\x01",
    b"h\0",
    b"q\0",
    b"\x81",
    b"\x93",
    b"\x94",
    b"N",
    b".",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\"dtype\"",
    b"[0,24]",
    b"\"F16\"",
    b"ctorch\nFloatStorage\n",
];

/// All together take a minute and a half where they run one after the other.
const TIME: Duration = Duration::from_secs(14);

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

fn run(name: &str) {
    let target = targets::TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    assert!(seeds.len() > 10, "{}", seeds.len());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < TIME {
        let mut file = seeds[random.below(seeds.len())].clone();
        if runs >= seeds.len() {
            let other = &seeds[random.below(seeds.len())];
            for _ in 0..1 + random.below(6) {
                change(&mut file, other, &WORDS, &mut random);
            }
        }
        let before = Instant::now();
        let result = panic::catch_unwind(|| (target.run)(&file));
        if result.is_err() || before.elapsed() > Duration::from_secs(2) {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&path, &file).unwrap();
            panic!("{} fails, or takes long", path.display());
        }
        runs += 1;
    }
    println!("{name}: {runs} files from {} seeds", seeds.len());
}
