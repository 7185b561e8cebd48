//! Files of nearly 64 MB without real weights: each takes little time and memory, whatever comes of
//! it.
//!
//! One test, alone in its program, because it looks at the memory of the whole process.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use pentimento_convert::{Convert, convert};

#[path = "hostile/build.rs"]
#[allow(dead_code)]
mod build;

use build::*;

/// A file's name, and what writes it.
type Large = (&'static str, fn(&mut dyn Write));

const FILES: [Large; 11] = [
    ("empty tensors, 41 MB", |out| header(out, 700_000, 0)),
    ("empty tensors, 15 MB", |out| header(out, 250_000, 0)),
    ("texts of metadata, 30 MB", |out| header(out, 1, 1_500_000)),
    ("texts of metadata, 15 MB", |out| header(out, 1, 700_000)),
    ("a million dictionaries", |out| packed(out, b"(", b"}", 1_040_000, b"l.")),
    ("a million tuples of one", |out| packed(out, b"(", b")\x85", 520_000, b"l.")),
    ("sixty million pushes", |out| packed(out, b"", b")0", 30_000_000, b"}.")),
    ("five pickles of a million values", |out| {
        for magic in [MAGIC, VERSION] {
            out.write_all(magic).unwrap();
        }
        for _ in 0..3 {
            out.write_all(&pickle(b"(", b"}", 1_040_000, b"l.")).unwrap();
        }
    }),
    ("entries with long names", |out| {
        let entry = |i: usize| Entry::stored(&format!("a/{i}{}", "x".repeat(400)), b"");
        let entries: Vec<Entry> = (0..65_000).map(entry).collect();
        out.write_all(&zip(&entries)).unwrap();
    }),
    ("tensors with long names", |out| {
        let names: Vec<String> = (0..30_000).map(|i| format!("{i}{}", "x".repeat(900))).collect();
        let tensors: Vec<(&str, Tensor)> = names.iter().map(|n| (n.as_str(), SIX)).collect();
        out.write_all(&archive(&Pickle::dict(&tensors), &[("0", &six_floats())])).unwrap();
    }),
    ("dictionaries in dictionaries", |out| {
        // Each of 300 holds the next under a hundred names.
        let mut p = Pickle::new().raw(b"}q\0");
        for level in 1..300_u32 {
            let at = [b"r".as_slice(), &level.to_le_bytes()].concat();
            p = p.raw(b"}").raw(&at).raw(b"(");
            for name in 0..100 {
                p = p.text(&name.to_string()).raw(b"j").raw(&(level - 1).to_le_bytes());
            }
            p = p.raw(b"u");
        }
        // All but the last go.
        let p = p.raw(b"r\xff\xff\0\0").raw(&b"0".repeat(300)).raw(b"j\xff\xff\0\0");
        out.write_all(&archive(&p.stop(b""), &[])).unwrap();
    }),
];

/// Two seconds of an optimised program; tests are slower.
const BOUND: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });

/// A safetensors file of empty tensors and of texts.
fn header(out: &mut dyn Write, tensors: usize, texts: usize) {
    let mut json = String::from("{\"__metadata__\":{");
    for i in 0..texts {
        json += &format!("{}\"{i}\":\"value\"", if i > 0 { "," } else { "" });
    }
    json += "}";
    for i in 0..tensors {
        json += &format!(",\"t{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    }
    json += "}";
    out.write_all(&(json.len() as u64).to_le_bytes()).unwrap();
    out.write_all(json.as_bytes()).unwrap();
}

/// A pickle with `middle` many times between two others.
fn pickle(start: &[u8], middle: &[u8], times: usize, end: &[u8]) -> Vec<u8> {
    [&b"\x80\x02"[..], start, &middle.repeat(times), end].concat()
}

/// That pickle in a zip file.
fn packed(out: &mut dyn Write, start: &[u8], middle: &[u8], times: usize, end: &[u8]) {
    out.write_all(&archive(&pickle(start, middle, times, end), &[])).unwrap();
}

#[test]
fn no_file_without_weights_takes_long_or_much() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("large.pth");
    for (name, write) in FILES {
        let mut out = BufWriter::new(File::create(&input).unwrap());
        write(&mut out);
        drop(out);
        let bytes = fs::metadata(&input).unwrap().len();
        assert!(bytes < 64 << 20, "{name}: {bytes}");
        let (elapsed, result) = alone(&input);
        println!("{name}: {bytes} bytes, {elapsed:?}, {result}");
        assert!(elapsed < BOUND, "{name}: {elapsed:?}");
    }
}

/// Converts the file, in memory that nothing else of this process has taken.
fn alone(input: &Path) -> (Duration, String) {
    reset_peak();
    let before = status("VmRSS:");
    let start = Instant::now();
    let options = Convert { overwrite: true, ..Convert::default() };
    let result = convert(input, &input.with_extension("safetensors"), &options, &mut |_, _| {});
    let elapsed = start.elapsed();
    let told = result
        .map_or_else(|error| error.to_string(), |report| format!("{} tensors", report.tensors));
    if let (Some(before), Some(peak)) = (before, status("VmHWM:")) {
        let taken = peak.saturating_sub(before) >> 10;
        assert!(taken < 256, "{}: {taken} MiB", input.display());
        return (elapsed, format!("{taken} MiB, {told}"));
    }
    (elapsed, told)
}

/// Begins to measure the most memory anew, where the system can.
fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// A number of kibibytes that the system tells of this process.
fn status(name: &str) -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
