//! The fuzz targets on files changed at random, for some seconds each, or for as many as
//! PENTIMENTO_FUZZ_SECONDS says. `fuzz/` has the same ones for cargo-fuzz, which also sees which
//! changes reach new code.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, panic};

#[path = "../../tools/convert/tests/hostile/change.rs"]
mod change;
#[path = "../../fuzz/targets.rs"]
mod targets;

use change::{Random, change};

const SECONDS: u64 = 8;
/// No small file needs more memory than this, in bytes.
const MEMORY: usize = 2 << 30;

#[test]
fn picture() {
    const WORDS: [&[u8]; 16] = [
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"eXIf",
        b"iCCP",
        b"tRNS",
        b"PLTE",
        b"acTL",
        b"Exif\0\0",
        b"RIFF",
        b"VP8L",
        b"VP8X",
        b"\xFF\xDA",
        b"\xFF\xC4",
        b"\xFF\xC2",
        b"\xFF\xD9",
    ];
    run("picture", &WORDS);
}

#[test]
fn jpeg() {
    const WORDS: [&[u8]; 12] = [
        b"\xFF\xDA",
        b"\xFF\xC4",
        b"\xFF\xC0",
        b"\xFF\xC2",
        b"\xFF\xC9",
        b"\xFF\xCA",
        b"\xFF\xCC",
        b"\xFF\xD0",
        b"\xFF\xD7",
        b"\xFF\xD9",
        b"\xFF\xDB",
        b"\xFF\xDD",
    ];
    run("jpeg", &WORDS);
}

#[test]
fn tiff() {
    const WORDS: [&[u8]; 12] = [
        b"II*\0",
        b"MM\0*",
        b"II+\0",
        b"\x00\x01",
        b"\x02\x01\x03\0",
        b"\x03\x01\x03\0",
        b"\x11\x01\x04\0",
        b"\x15\x01\x03\0",
        b"\x1C\x01\x03\0",
        b"\x42\x01\x04\0",
        b"\x53\x01\x03\0",
        b"\xFF\xFF\xFF\xFF",
    ];
    run("tiff", &WORDS);
}

#[test]
fn png() {
    run("png", &[b"IHDR", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"PLTE", b"tRNS"]);
}

#[test]
fn webp() {
    run("webp", &[b"RIFF", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"EXIF"]);
}

#[test]
fn bitmap() {
    run("bitmap", &[b"BM", b"P1", b"P6", b"P7\n", b"WIDTH 1", b"GIF89a", b"\x21\xF9\x04", b"\x2C"]);
}

#[test]
fn jxl() {
    run("jxl", &[b"\xFF\x0A", b"jxlc", b"jxlp", b"Exif", b"brob", b"\0\0\0\x0CJXL "]);
}

#[test]
fn heif() {
    const WORDS: [&[u8]; 16] = [
        b"meta", b"iloc", b"iinf", b"infe", b"iref", b"dimg", b"auxl", b"iprp", b"ipma", b"ispe",
        b"irot", b"clap", b"colr", b"grid", b"av01", b"hvcC",
    ];
    run("heif", &WORDS);
}

#[test]
fn written() {
    run("written", &[b"\xFF", b"\x06\x3F", b"\0", b"II*\0", b"tiff:Orientation", b"8BIM"]);
}

#[test]
fn exif() {
    run("exif", &[b"II*\0", b"MM\0*", b"\x12\x01", b"\x01\x12", b"\x69\x87", b"\x87\x69"]);
}

#[test]
fn faces() {
    const WORDS: [&[u8]; 12] = [
        b"\"pictures\":",
        b"\"faces\":",
        b"\"landmarks\":",
        b"\"input\":",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"1e999",
        b"-0.0",
        b"null",
    ];
    run("faces", &WORDS);
}

#[test]
fn video() {
    const WORDS: [&[u8]; 12] = [
        b"FRAME\n",
        b"\n",
        b" ",
        b" W1",
        b" H1",
        b" W4096",
        b" H0",
        b" C422",
        b" Cmono",
        b" C420p10",
        b" It",
        b" XCOLORRANGE=LIMITED",
    ];
    run("video", &WORDS);
}

#[test]
fn metadata() {
    const WORDS: [&[u8]; 12] = [
        b"\"size\":",
        b"\"channels\":",
        b"\"paths\":",
        b"\"path_channels\":",
        b"\"mmrb_per_level\":",
        b"\"stem_unshuffle\":",
        b"4294967296",
        b"18446744073709551615",
        b"-1",
        b"1e308",
        b"null",
        b"{\"8\":1}",
    ];
    run("metadata", &WORDS);
}

#[test]
fn architecture() {
    run("architecture", &[b"\0\0\0\0", b"\x01\0\x13\0", b"\x02\0\x05\xff", b"\x03\0\x02\0"]);
}

fn run(name: &str, words: &[&[u8]]) {
    let target = targets::TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let seconds = env::var("PENTIMENTO_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let (seeds, seconds) = ((target.seeds)(), seconds.unwrap_or(SECONDS));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (start, mut runs) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let mut file = seeds[random.below(seeds.len())].clone();
        if runs >= seeds.len() {
            let other = &seeds[random.below(seeds.len())];
            for _ in 0..1 + random.below(6) {
                change(&mut file, other, words, &mut random);
            }
        }
        let before = Instant::now();
        let result = panic::catch_unwind(|| (target.run)(&file));
        if result.is_err() || before.elapsed() > Duration::from_secs(10) {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            fs::write(&path, &file).unwrap();
            panic!("{} fails, or takes long", path.display());
        }
        runs += 1;
    }
    assert!(runs > seeds.len(), "{runs}");
    let memory = most_memory();
    eprintln!("{name}: {runs} files from {} seeds, at most {} MB", seeds.len(), memory / 1_000_000);
    assert!(memory < MEMORY, "{memory}");
}

/// The most memory that this process has used, in bytes; 0 where the system does not say.
fn most_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.map_or(0, |n| n * 1024)
}
