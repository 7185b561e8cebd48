//! What makes calls fail, and the sweeps over the places where they do: for the program and for the C
//! library.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use super::{root, skip};

/// As the layer of `tools/faults/vulkan.c` calls the driver that it shows as a GPU.
pub const GPU: &str = "a GPU with faults";

/// A library of `tools/faults`, built once; `None`, said aloud, where there is no C compiler.
pub fn library(name: &'static str) -> Option<PathBuf> {
    static BUILT: Mutex<BTreeMap<&str, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
    let build = || {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let built = to.join(format!("{name}-{}.so", std::process::id()));
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wl,-z,nodelete", "-o"])
            .arg(&built)
            .arg(root().join(format!("tools/faults/{name}.c")))
            .arg("-ldl")
            .status();
        (cfg!(target_os = "linux") && done.is_ok_and(|status| status.success())).then_some(built)
    };
    let library = BUILT.lock().expect("no build panics").entry(name).or_insert_with(build).clone();
    if library.is_none() {
        skip("no C compiler for the library that makes calls fail");
    }
    library
}

/// Writes the manifest of the layer that fails a GPU's calls to `folder`; `None`, said aloud, where it
/// cannot be built.
pub fn layer(folder: &Path) -> Option<()> {
    let library = library("vulkan")?;
    let layer = format!(
        r#"{{"file_format_version": "1.1.2", "layer": {{"name": "VK_LAYER_PENTIMENTO_faults",
        "type": "GLOBAL", "library_path": "{}", "api_version": "1.3.0",
        "implementation_version": "1", "description": "fails calls"}}}}"#,
        library.display()
    );
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("faults.json"), layer).expect("written");
    Some(())
}

/// The environment in which the layer of `folder` makes `fault` and writes to `log` where it was met.
pub fn variables(folder: &Path, fault: &str, log: &Path) -> [(&'static str, OsString); 5] {
    [
        ("VK_LAYER_PATH", folder.into()),
        ("VK_INSTANCE_LAYERS", "VK_LAYER_PENTIMENTO_faults".into()),
        // Mesa's own layer writes to standard error where no desktop session runs.
        ("NODEVICE_SELECT", "1".into()),
        ("FAULTS_GPU", fault.into()),
        ("FAULTS_GPU_LOG", log.into()),
    ]
}

/// Whether every place is to fail, as tools/faults/run wants it, not some of each kind.
pub fn is_whole() -> bool {
    std::env::var_os("PENTIMENTO_FAULTS").is_some_and(|all| all == "all")
}

/// What came of a run that met its fault.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// The run went on, and all is as without the fault.
    Unharmed,
    /// It said what had failed.
    Said,
    /// It was ended by the fault, or had no memory to say anything.
    Ended,
}

/// What the runs of a sweep came to.
pub struct Outcomes {
    pub places: usize,
    /// By [`Outcome`].
    counts: [usize; 3],
    calls: BTreeSet<String>,
    seconds: f64,
}

/// Fails the first place of `kind` in a call of `run`, then the second, and so on until one meets none:
/// all, or `some` spread over the sweep, about twice as many. `run` gets the fault, and returns what it
/// came to and the line in which the library says what it failed.
pub fn sweep(
    kind: &str,
    some: usize,
    mut run: impl FnMut(&str) -> Option<(Outcome, String)>,
) -> Outcomes {
    let begin = Instant::now();
    let (mut counts, mut calls) = ([0; 3], BTreeSet::new());
    let mut place = 1;
    while let Some((outcome, met)) = run(&format!("{kind}:{place}")) {
        counts[outcome as usize] += 1;
        calls.extend(met.split_whitespace().next().map(str::to_owned));
        // Denser at the begin, where most differ.
        place += if is_whole() { 1 } else { 1 + place / some };
    }
    let seconds = begin.elapsed().as_secs_f64();
    Outcomes { places: counts.iter().sum(), counts, calls, seconds }
}

impl Outcomes {
    /// Prints them, and adds a line to the file that `PENTIMENTO_FAULTS_TABLE` names.
    pub fn note(&self, workload: &str, kind: &str) {
        let Self { places, counts: [unharmed, said, ended], calls, seconds } = self;
        let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
        let calls = calls.join(", ");
        println!("{workload}, {kind}: {places} places in {seconds:.1} s: {calls}");
        let Some(table) = std::env::var_os("PENTIMENTO_FAULTS_TABLE") else { return };
        let line = format!(
            "| {workload} | {kind} | {places} | {unharmed} | {said} | {ended} | 0 | {calls} |\n"
        );
        let file = fs::File::options().append(true).create(true).open(Path::new(&table));
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the table");
    }
}
