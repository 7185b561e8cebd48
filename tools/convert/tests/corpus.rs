//! Every hostile file of the corpus, converted: one line, little time, little memory.
//!
//! One test, alone in its program, because it looks at the memory of the whole process.

use std::{
    fs,
    time::{Duration, Instant},
};

use pentimento_convert::{Convert, convert};

#[path = "hostile/build.rs"]
#[allow(dead_code)]
mod build;
#[path = "hostile/corpus.rs"]
mod corpus;

#[test]
fn every_file_of_the_corpus_is_refused_quickly_in_one_line() {
    let corpus = corpus::corpus();
    assert!(corpus.len() >= 100, "{}", corpus.len());
    let folder = tempfile::tempdir().unwrap();
    let (input, outputs) = (folder.path().join("hostile.pth"), folder.path().join("outputs"));
    fs::create_dir(&outputs).unwrap();
    let (mut slowest, mut largest) = ((Duration::ZERO, ""), 0);
    for file in &corpus {
        largest = largest.max(file.bytes.len());
        fs::write(&input, &file.bytes).unwrap();
        let start = Instant::now();
        let result =
            convert(&input, &outputs.join("x.safetensors"), &Convert::default(), &mut |_, _| {});
        let elapsed = start.elapsed();
        let error = result.map(drop).expect_err(&file.name).to_string();
        assert!(error.contains(file.says), "{}: {error}", file.name);
        assert!(!error.contains(char::is_control), "{}: {error}", file.name);
        assert!(error.len() < 600, "{}: {error}", file.name);
        // Two seconds of an optimised program; tests are slower.
        let bound = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });
        assert!(elapsed < bound, "{}: {elapsed:?}", file.name);
        slowest = slowest.max((elapsed, &file.name));
    }
    // Nor is a half-written file left.
    assert_eq!(fs::read_dir(&outputs).unwrap().count(), 0);
    println!("{} files, the largest {largest} bytes; slowest {slowest:?}", corpus.len());
    if let Some(peak) = peak_kib() {
        println!("{} MiB at most, with the corpus itself", peak >> 10);
        assert!(peak < 256 << 10, "{peak} KiB");
    }
}

/// The most memory that this process has had, where the system tells.
fn peak_kib() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
