//! What `tools/train` exports: a tiny network is trained here through all its stages, and the engine
//! must see in the file what PyTorch saw.

use std::path::Path;
use std::process::Command;

use pentimento::Model;

use crate::golden::compare;
use crate::support::npy;

/// Needs a Python with PyTorch: that of the environment variable PENTIMENTO_PYTHON, or python3.
#[test]
fn a_trained_network_is_the_same_here() {
    let python = std::env::var("PENTIMENTO_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let needed = "import torch, safetensors, numpy, PIL";
    let found = Command::new(&python).args(["-c", needed]).output();
    if !found.is_ok_and(|run| run.status.success()) {
        eprintln!("skipped: {python} has no PyTorch, safetensors, numpy or Pillow");
        return;
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
    let paths = [tools.join("train"), tools.join("reference")];
    let folder = tempfile::tempdir().expect("a folder");
    let run = Command::new(&python)
        .arg(tools.join("train/tests/smoke.py"))
        .arg(folder.path())
        .env("PYTHONPATH", std::env::join_paths(paths).expect("paths"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let model = Model::open(folder.path().join("model.safetensors")).expect("an exported model");
    let (dims, input) = npy(&folder.path().join("input.npy"));
    let (_, expected) = npy(&folder.path().join("output.npy"));
    compare(&model, "trained", &dims, &input, &[&expected]);
}
