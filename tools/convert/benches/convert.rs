//! How fast a checkpoint of 350 MB is converted, against copying the file, and in how much memory.
//! Both find it in the system's cache, and neither waits for the disk.
//!
//! ```text
//! cargo bench -p pentimento-convert
//! ```

use std::{fs, path::Path, process::Command, time::Instant};

use pentimento_convert::{Convert, Element, convert};

#[path = "../tests/hostile/build.rs"]
#[allow(dead_code)]
mod build;

use build::{Pickle, SIX, Tensor};

const ROUNDS: usize = 15;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, element, input, output] = arguments.as_slice()
        && command == "convert-once"
    {
        return child(element, Path::new(input), Path::new(output));
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let input = path("in.pth");
    fs::write(&input, checkpoint()).expect("a checkpoint");
    let size = fs::metadata(&input).expect("its size").len() as f64;
    println!("{:.0} MB, best of {ROUNDS} rounds", size / 1e6);

    // In turns, and the best of each: whatever else the machine does only adds.
    let mut copies = Vec::new();
    let mut conversions = [("keep", Vec::new(), 0), ("f16", Vec::new(), 0)];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        fs::copy(&input, path("copy")).expect("a copy");
        copies.push(start.elapsed().as_secs_f64());
        fs::remove_file(path("copy")).expect("a copy to remove");
        for (element, times, peak) in &mut conversions {
            let (seconds, kib) = convert_in_a_child(element, &input, &path("out"));
            times.push(seconds);
            *peak = (*peak).max(kib);
            fs::remove_file(path("out")).expect("an output to remove");
        }
    }
    let copy = best(&copies);
    println!("copy          {copy:.3} s  {:.0} MB/s", size / copy / 1e6);
    for (element, times, peak) in conversions {
        let seconds = best(&times);
        println!(
            "convert {element:4}  {seconds:.3} s  {:.0} MB/s  {:.2} of the copy's speed, {:.1} MB at most",
            size / seconds / 1e6,
            copy / seconds,
            peak as f64 * 1024.0 / 1e6,
        );
    }
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
fn convert_in_a_child(element: &str, input: &Path, output: &Path) -> (f64, usize) {
    let program = std::env::current_exe().expect("this program");
    let run = Command::new(program)
        .args([Path::new("convert-once"), Path::new(element), input, output])
        .output()
        .expect("a child");
    let said = String::from_utf8(run.stdout).expect("a text");
    let (seconds, kib) = said.trim().split_once(' ').expect("two numbers");
    (seconds.parse().expect("seconds"), kib.parse().expect("KiB"))
}

fn child(element: &str, input: &Path, output: &Path) {
    let element = if element == "f16" { Element::F16 } else { Element::Keep };
    let start = Instant::now();
    let options = Convert { element, ..Convert::default() };
    convert(input, output, &options, &mut |_, _| {}).expect("a conversion");
    let seconds = start.elapsed().as_secs_f64();
    // Zero where the system does not tell.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    println!("{seconds} {}", peak.trim().trim_end_matches(" kB"));
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}
