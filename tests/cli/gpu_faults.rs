//! A GPU that fails: every call of its driver fails once, and the CPU goes on.
//!
//! `tools/faults/vulkan.c` stands between the program and a driver that runs on the CPU, which it
//! shows as a real GPU. It fails the n-th call of a kind, for n = 1, 2, 3 and so on until a run meets
//! none.
//!
//! As in `faults.rs`, the tests take some places and `tools/faults/run` all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::faults::{self, GPU as NAME, Outcome, is_whole};
use super::support::{Run, Workspace, skip};

/// Calls that fail once.
const FAILING: [&str; 8] =
    ["device", "buffer", "memory", "shader", "pipeline", "map", "lost", "lost-while-waiting"];
/// Places of a sweep that are taken where not all are asked for, about twice as many.
const SOME: usize = 2;
/// No run of these takes as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest difference of 8-bit samples between the CPU and a GPU. Samples of films are sums of colours.
const LEVELS: u8 = 1;
const LEVELS_OF_FILMS: u8 = 2;

/// Something that the program writes to the folder `out`.
struct Workload {
    name: &'static str,
    arguments: &'static str,
    /// The samples of each result.
    results: fn(&Workspace) -> BTreeMap<String, Vec<u8>>,
    levels: u8,
}

const ALBUM: Workload = Workload {
    name: "an album",
    arguments: "restore album -o out --model x2.safetensors",
    results,
    levels: LEVELS,
};
const FILM: Workload = Workload {
    name: "a YUV4MPEG2 film",
    arguments: "restore --y4m film.y4m -o out/film.y4m --force --model x2.safetensors",
    results: |workspace| {
        let film = fs::read(workspace.path("out/film.y4m"));
        film.map(|film| BTreeMap::from([("film.y4m".to_owned(), film)])).unwrap_or_default()
    },
    levels: LEVELS_OF_FILMS,
};
/// Without losses, so that frames can be compared.
const MOVIE: Workload = Workload {
    name: "a film through ffmpeg",
    arguments: "restore film.mkv -o out/film.mkv --force --model x2.safetensors --video-codec ffv1",
    results: |workspace| {
        if !workspace.path("out/film.mkv").exists() {
            return BTreeMap::new();
        }
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(workspace.path("out/film.mkv"));
        let frames = ffmpeg.args(["-f", "rawvideo", "-"]).output().unwrap();
        assert!(frames.status.success(), "{}", String::from_utf8_lossy(&frames.stderr));
        BTreeMap::from([("film.mkv".to_owned(), frames.stdout)])
    },
    levels: LEVELS_OF_FILMS,
};

/// A workspace with an album of four, and the layer in it; `None` where there is no driver for it.
fn workspace() -> Option<Workspace> {
    let workspace = Workspace::new();
    for i in 0..4 {
        workspace.picture(&format!("album/{i}.png"), 12 + i, 9);
    }
    let frame = |i: usize| (0..16 * 16 * 3 / 2).map(move |j| (16 + (i * 31 + j * 7) % 200) as u8);
    let frames = (0..3).flat_map(|i| b"FRAME\n".iter().copied().chain(frame(i)));
    let header = b"YUV4MPEG2 W16 H16 F25:1 C420jpeg\n".iter().copied();
    fs::write(workspace.path("film.y4m"), header.chain(frames).collect::<Vec<u8>>()).unwrap();
    faults::layer(&workspace.path("layer"))?;
    let devices = run(&workspace, "devices", "lost:0");
    if !devices.out.contains(NAME) {
        skip("there is no Vulkan driver that runs on the CPU");
        return None;
    }
    Some(workspace)
}

/// Runs the program with the layer.
fn run(workspace: &Workspace, arguments: &str, fault: &str) -> Run {
    run_with(workspace, arguments, fault, &[])
}

/// The same with further environment variables.
fn run_with(workspace: &Workspace, arguments: &str, fault: &str, more: &[(&str, &str)]) -> Run {
    let (layer, log, cache) =
        (workspace.path("layer"), workspace.path("met"), workspace.path("cache"));
    let _ = fs::remove_file(&log);
    let layer = faults::variables(&layer, fault, &log);
    let mut variables: Vec<(&str, &str)> =
        layer.iter().map(|(name, value)| (*name, value.to_str().unwrap())).collect();
    // What is kept of a run must not change which calls the next one makes.
    variables.extend([("PENTIMENTO_CACHE", cache.to_str().unwrap()), ("RUST_BACKTRACE", "0")]);
    let begin = Instant::now();
    let run = workspace.run_with(arguments, &[&variables, more].concat());
    let _ = fs::remove_dir_all(&cache);
    assert!(begin.elapsed() < PATIENCE, "{fault} took {:?}", begin.elapsed());
    run
}

/// The call that failed, where the run met it.
fn met(workspace: &Workspace) -> Option<String> {
    fs::read_to_string(workspace.path("met")).ok().map(|met| met.trim_end().to_owned())
}

fn results(workspace: &Workspace) -> BTreeMap<String, Vec<u8>> {
    let open = |name: &str| {
        let picture = image::open(workspace.path("out").join(name));
        picture.unwrap_or_else(|error| panic!("{name}: {error}")).to_rgb8().into_raw()
    };
    workspace.files("out").into_iter().map(|name| (name.clone(), open(&name))).collect()
}

fn same(results: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) -> bool {
    within(LEVELS, results, expected)
}

fn within(
    levels: u8,
    results: &BTreeMap<String, Vec<u8>>,
    expected: &BTreeMap<String, Vec<u8>>,
) -> bool {
    let near = |a: &Vec<u8>, b: &Vec<u8>| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= levels)
    };
    results.keys().eq(expected.keys())
        && results.iter().all(|(name, picture)| near(picture, &expected[name]))
}

/// Fails the places of `kind` in `work`, one a run, and hands each to `judge`, with whether all results
/// are there. A row of the table says what came of it.
fn sweep(work: &Workload, device: &str, kind: &str, judge: impl Fn(&Run, bool, &str) -> Outcome) {
    let Some(workspace) = workspace() else { return };
    if work.name == MOVIE.name && !makes_film(&workspace) {
        return;
    }
    let &Workload { results, levels, .. } = work;
    let on = if device.is_empty() { "the best device" } else { "a named GPU" };
    let workload = format!("{} on {on}", work.name);
    let same = |left: &_, expected: &_| within(levels, left, expected);
    fs::create_dir(workspace.path("out")).unwrap();
    let arguments = format!("{}{device}", work.arguments);
    workspace.run(work.arguments).succeeds();
    let expected = results(&workspace);
    let outcomes = faults::sweep(kind, SOME, |fault| {
        fs::remove_dir_all(workspace.path("out")).unwrap();
        fs::create_dir(workspace.path("out")).unwrap();
        let ended = run(&workspace, &arguments, fault);
        let met = met(&workspace)?;
        let what = format!("{fault} ({met}): {}{}", ended.out, ended.err);
        assert!(!ended.err.contains("panicked") && !ended.err.contains("report"), "{what}");
        let left = results(&workspace);
        for (name, picture) in &left {
            let one = BTreeMap::from([(name.clone(), picture.clone())]);
            let its = BTreeMap::from([(name.clone(), expected[name].clone())]);
            assert!(same(&one, &its), "{name} differs: {what}");
        }
        let outcome = judge(&ended, same(&left, &expected), &what);
        // As if nothing had been.
        let again = run(&workspace, &arguments, &format!("{kind}:0"));
        assert_eq!(again.code, 0, "the next run: {}; {what}", again.err);
        assert!(same(&results(&workspace), &expected), "the next run makes others: {what}");
        Some((outcome, met))
    });
    assert!(outcomes.places > 0, "no call of {kind} was met");
    outcomes.note(&workload, &format!("GPU: {kind}"));
}

/// What fails in films: all of it, or two kinds. Albums meet the others in every test.
fn failing_in_films() -> &'static [&'static str] {
    if is_whole() { &FAILING } else { &["device", "lost"] }
}

/// Makes a film of the frames; false, and says so, without ffmpeg.
fn makes_film(workspace: &Workspace) -> bool {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(workspace.path("film.y4m"));
    let made = ffmpeg.args(["-c:v", "ffv1"]).arg(workspace.path("film.mkv")).status();
    let is_made = made.is_ok_and(|status| status.success());
    if !is_made {
        skip("there is no ffmpeg");
    }
    is_made
}

/// Nobody named a device: all is restored, and a note names the GPU and the cause.
fn the_cpu_goes_on(ended: &Run, all_there: bool, what: &str) -> Outcome {
    assert!(ended.code == 0 && all_there, "{what}");
    let notes: Vec<&str> = ended.err.lines().collect();
    if notes.is_empty() {
        return Outcome::Unharmed;
    }
    assert!(notes.len() == 1 && notes[0].contains(NAME), "{what}");
    assert!(notes[0].contains("the CPU"), "{what}");
    Outcome::Said
}

/// The GPU was named: what it did not restore is said, with the cause.
fn it_is_said(ended: &Run, all_there: bool, what: &str) -> Outcome {
    if ended.code == 0 {
        assert!(all_there && ended.err.is_empty(), "{what}");
        return Outcome::Unharmed;
    }
    assert_eq!(ended.code, 1, "{what}");
    let is_error = |line: &str| line.starts_with("error: ");
    assert!(!ended.err.is_empty() && ended.err.lines().all(is_error), "{what}");
    let causes = ["lost", "memory", "cannot open"];
    assert!(causes.iter().any(|cause| ended.err.contains(cause)), "{what}");
    Outcome::Said
}

#[test]
fn the_cpu_goes_on_where_nobody_named_a_device() {
    FAILING.iter().for_each(|kind| sweep(&ALBUM, "", kind, the_cpu_goes_on));
}

#[test]
fn a_device_that_is_named_keeps_its_errors() {
    FAILING.iter().for_each(|kind| sweep(&ALBUM, " --device vulkan", kind, it_is_said));
}

/// Frames that the GPU has restored stay, and the CPU does the rest.
#[test]
fn the_cpu_goes_on_with_a_film() {
    failing_in_films().iter().for_each(|kind| sweep(&FILM, "", kind, the_cpu_goes_on));
    ["device", "lost"].iter().for_each(|kind| sweep(&MOVIE, "", kind, the_cpu_goes_on));
}

#[test]
fn a_film_on_a_named_device_is_an_error() {
    failing_in_films().iter().for_each(|kind| sweep(&FILM, " --device vulkan", kind, it_is_said));
    ["lost"].iter().for_each(|kind| sweep(&MOVIE, " --device vulkan", kind, it_is_said));
}

/// A folder for `PENTIMENTO_KERNELS` that holds one kernel with an error in it.
fn broken(workspace: &Workspace, kernel: &str, from: &str, to: &str) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels").join(kernel);
    let text = fs::read_to_string(own).unwrap();
    assert!(text.contains(from), "{kernel} has changed");
    let folder = workspace.path("kernels");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(kernel), text.replace(from, to)).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// A driver that computes a kernel wrongly: another one takes its place, and the run says so.
#[test]
fn a_kernel_that_is_wrong_is_replaced() {
    let Some(workspace) = workspace() else { return };
    // Large enough for the kernel.
    workspace.picture("album/large.png", 64, 48);
    workspace.run("restore album -o out --model x2.safetensors").succeeds();
    let expected = results(&workspace);
    let kernels = broken(&workspace, "conv_direct.wgsl", "* column_x", "* column_x * 0.9");
    let variables = [("PENTIMENTO_KERNELS", kernels.as_str())];
    let arguments = "restore album -o out --model x2.safetensors --device vulkan --force";
    let ended = run_with(&workspace, arguments, "lost:0", &variables);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let said = "computes the kernel conv_direct wrongly; conv_gemm takes its place";
    assert!(ended.err.contains(said), "{}", ended.err);
    assert!(same(&results(&workspace), &expected));
}

/// Where no other kernel does the same, the CPU computes, or the run says why it cannot.
#[test]
fn a_wrong_kernel_without_another_is_not_used() {
    let Some(workspace) = workspace() else { return };
    workspace.run("restore album -o out --model x2.safetensors").succeeds();
    let expected = results(&workspace);
    let [from, to] = ["(o * FACTOR + h % FACTOR)", "(o * FACTOR + w % FACTOR)"];
    let kernels = broken(&workspace, "pixel_shuffle.wgsl", from, to);
    let variables = [("PENTIMENTO_KERNELS", kernels.as_str())];
    let arguments = "restore album -o out --model x2.safetensors --force";
    let ended = run_with(&workspace, arguments, "lost:0", &variables);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let said = "computes the kernel pixel_shuffle wrongly";
    assert!(ended.err.contains(said) && ended.err.contains("the CPU took"), "{}", ended.err);
    assert!(same(&results(&workspace), &expected));

    fs::remove_dir_all(workspace.path("out")).unwrap();
    let ended = run_with(&workspace, &format!("{arguments} --device vulkan"), "lost:0", &variables);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains(said), "{}", ended.err);
    assert!(!workspace.path("out").exists() || workspace.files("out").is_empty());
}

/// A driver that never answers costs the pictures that it has, and the run ends.
#[test]
fn a_gpu_that_hangs_ends_within_the_patience() {
    let Some(workspace) = workspace() else { return };
    let arguments = "restore album/0.png -o b.png --model x2.safetensors --patience 2";
    let ended = run(&workspace, arguments, "hang:1");
    assert!(met(&workspace).is_some());
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    let is_restored = workspace.path("b.png").exists();
    assert_eq!(ended.code, if is_restored { 0 } else { 1 }, "{}", ended.err);
    assert!(ended.err.contains(NAME) || ended.err.contains("2 s"), "{}", ended.err);
}
