//! What `tools/train` exports: a tiny network is trained here through all its stages, and the engine
//! must see in the file what PyTorch saw.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pentimento::Model;

use crate::golden::compare;
use crate::support::{npy, skip};

/// A command of the Python of the environment variable PENTIMENTO_PYTHON, or of python3, that finds
/// `tools/train` and `tools/reference`; none, saying so, where a module is missing.
fn python(modules: &str) -> Option<Command> {
    let python = std::env::var("PENTIMENTO_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if !found.is_ok_and(|run| run.status.success()) {
        skip(format_args!("{python} lacks one of {modules}"));
        return None;
    }
    let paths = [tools().join("train"), tools().join("reference")];
    let mut command = Command::new(python);
    command
        .env("PYTHONPATH", std::env::join_paths(paths).expect("paths"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Tests run beside each other, and on tiny tensors more threads only wait for each other.
        .env("OMP_NUM_THREADS", "1");
    Some(command)
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools")
}

#[test]
fn a_trained_network_is_the_same_here() {
    let Some(mut python) = python("torch, safetensors, numpy, PIL") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let script = tools().join("train/tests/smoke.py");
    let run = python.arg(script).arg(folder.path()).output().expect("Python runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let model = Model::open(folder.path().join("model.safetensors")).expect("an exported model");
    let (dims, input) = npy(&folder.path().join("input.npy"));
    let (_, expected) = npy(&folder.path().join("output.npy"));
    compare(&model, "trained", (&dims, &input), &[&expected], &mut BTreeSet::new());
}

/// Losses fall, interrupted runs resume, processes agree, tables have their rows.
#[test]
fn the_training_passes_its_tests() {
    let Some(mut python) = python("torch, safetensors, numpy, PIL, pytest") else { return };
    let arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
    let run =
        python.args(arguments).arg(tools().join("train/tests")).output().expect("pytest runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
