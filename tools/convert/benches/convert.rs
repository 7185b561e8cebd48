//! How fast a checkpoint of 350 MB is converted, against copying the file, and in how much memory.
//!
//! Twice: into the system's cache, and until the output is on the disk. The input is in the cache. The
//! hash that a conversion records is timed alone too: it runs beside the writing, and no conversion is
//! faster.
//!
//! ```text
//! cargo bench -p pentimento-convert
//! ```

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    process::Command,
    time::Instant,
};

use pentimento_convert::{Convert, Element, convert};
use sha2::{Digest, Sha256};

#[path = "../tests/hostile/build.rs"]
#[allow(dead_code)]
mod build;

use build::{Pickle, SIX, Tensor};

const ROUNDS: usize = 9;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, element, to_disk, input, output] = arguments.as_slice()
        && command == "convert-once"
    {
        return child(element, to_disk == "true", Path::new(input), Path::new(output));
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (input, output) = (folder.path().join("in.pth"), folder.path().join("out"));
    fs::write(&input, checkpoint()).expect("a checkpoint");
    let size = fs::metadata(&input).expect("its size").len() as f64;
    println!("{:.0} MB, best of {ROUNDS} rounds", size / 1e6);

    let mut copies = [f64::INFINITY; 2];
    let mut alone = f64::INFINITY;
    let mut conversions = [("keep", false), ("keep", true), ("f16", false)]
        .map(|(element, to_disk)| (element, to_disk, f64::INFINITY, 0));
    // In turns, and the best of each: whatever else the machine does only adds.
    for _ in 0..ROUNDS {
        for (copy, to_disk) in copies.iter_mut().zip([false, true]) {
            *copy = copy.min(seconds(|| {
                fs::copy(&input, &output).expect("a copy");
                finish(&output, to_disk);
            }));
            fs::remove_file(&output).expect("a copy to remove");
        }
        alone = alone.min(seconds(|| hash(&input)));
        for (element, to_disk, best, peak) in &mut conversions {
            let (seconds, kib) = convert_in_a_child(element, *to_disk, &input, &output);
            *best = best.min(seconds);
            *peak = kib.max(*peak);
            fs::remove_file(&output).expect("an output to remove");
        }
    }
    let print = |name: &str, seconds: f64, more: &str| {
        println!("{name:28}{seconds:.3} s  {:.0} MB/s{more}", size / seconds / 1e6);
    };
    print("copy", copies[0], "");
    print("copy, to the disk", copies[1], "");
    print("SHA-256 alone", alone, "");
    for (element, to_disk, seconds, peak) in conversions {
        let name = format!("convert, {element}{}", if to_disk { ", to the disk" } else { "" });
        let ratio = copies[usize::from(to_disk)] / seconds;
        let peak = peak as f64 * 1024.0 / 1e6;
        print(&name, seconds, &format!("  {ratio:.2} of the copy's speed, {peak:.1} MB at most"));
    }
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn finish(output: &Path, to_disk: bool) {
    if to_disk {
        File::open(output).and_then(|file| file.sync_all()).expect("a disk");
    }
}

fn hash(input: &Path) {
    let mut input = File::open(input).expect("an input");
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match input.read(&mut piece).expect("some bytes") {
            0 => break,
            n => hash.update(&piece[..n]),
        }
    }
    std::hint::black_box(hash.finalize());
}

/// A zip checkpoint of 148 convolutions of 128 to 512 channels.
fn checkpoint() -> Vec<u8> {
    let shape = [512, 128, 3, 3];
    let strides = [128 * 9, 9, 3, 1];
    let numel = shape.iter().product::<i64>();
    let keys: Vec<String> = (0..148).map(|i| i.to_string()).collect();
    let pickle = keys.iter().fold(Pickle::new().raw(b"}("), |p, key| {
        let tensor = Tensor { key, numel, shape: &shape, strides: &strides, ..SIX };
        p.text(&format!("layers.{key}.weight")).tensor(&tensor)
    });
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut values = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Weights: a few hundredths, of both signs.
        (state >> 40) as f32 / (1 << 24) as f32 * 0.08 - 0.04
    };
    let bytes: Vec<Vec<u8>> =
        keys.iter().map(|_| (0..numel).flat_map(|_| values().to_le_bytes()).collect()).collect();
    let storages: Vec<(&str, &[u8])> =
        keys.iter().zip(&bytes).map(|(key, bytes)| (key.as_str(), &bytes[..])).collect();
    build::archive(&pickle.stop(b"u"), &storages)
}

/// Seconds, and the most memory in KiB, of a process that does nothing else. Pages of mapped files
/// count, so this is more than what the program asked for.
fn convert_in_a_child(element: &str, to_disk: bool, input: &Path, output: &Path) -> (f64, usize) {
    let program = std::env::current_exe().expect("this program");
    let run = Command::new(program)
        .args(["convert-once", element, &to_disk.to_string()])
        .args([input, output])
        .output()
        .expect("a child");
    let said = String::from_utf8(run.stdout).expect("a text");
    let (seconds, kib) = said.trim().split_once(' ').expect("two numbers");
    (seconds.parse().expect("seconds"), kib.parse().expect("KiB"))
}

fn child(element: &str, to_disk: bool, input: &Path, output: &Path) {
    let element = if element == "f16" { Element::F16 } else { Element::Keep };
    let seconds = seconds(|| {
        let options = Convert { element, ..Convert::default() };
        convert(input, output, &options, &mut |_, _| {}).expect("a conversion");
        finish(output, to_disk);
    });
    // Zero where the system does not tell.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    println!("{seconds} {}", peak.trim().trim_end_matches(" kB"));
}
