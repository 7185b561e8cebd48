//! What an error advises to do in PyTorch works: `make_advised.py` makes files that are refused, and
//! saves each again as its error says.

#[path = "../../../tests/support/skipped.rs"]
mod skipped;

use std::{path::Path, process::Command};

use pentimento_convert::{Options, open};
use skipped::skip;

/// A file's name, and what its error advises.
const ADVICE: [(&str, &str); 10] = [
    ("script", "save `model.state_dict()` with torch.save"),
    ("module", "`pentimento convert --skip-unknown`"),
    ("list", "no dictionary of tensors: save `model.state_dict()`"),
    ("sparse", "It holds a sparse tensor: save `tensor.to_dense()`"),
    ("quantised", "It holds a quantised tensor: save `tensor.dequantize()`"),
    ("numpy", "it holds arrays of NumPy: save them as tensors with torch.save"),
    ("export", "it is a program of torch.export: save `model.state_dict()`"),
    ("unsigned", "save it again as `tensor.float()`"),
    ("pickle", "save the model again with torch.save"),
    ("opcode", "save it again with torch.save and protocol 2"),
];

#[test]
fn what_is_saved_again_as_advised_is_read() {
    let python = std::env::var("PENTIMENTO_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import torch"]).output();
    if !found.is_ok_and(|run| run.status.success()) {
        return skip(format_args!("{python} has no PyTorch; set PENTIMENTO_PYTHON"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/make_advised.py");
    let run = Command::new(&python).arg(script).arg(folder.path()).output().expect("it is there");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for (name, advice) in ADVICE {
        let bad = folder.path().join(format!("{name}.bad"));
        let error = open(&bad, &Options::default()).expect_err(name).to_string();
        assert!(error.contains(advice), "{name}: {error}");
        let good = open(&folder.path().join(format!("{name}.good")), &Options::default());
        let good = good.unwrap_or_else(|error| panic!("{name}: {error}"));
        let weight = good.get("weight").unwrap_or_else(|| panic!("{name} has no weight"));
        assert_eq!(weight.shape, [2, 3], "{name}");
        assert_eq!(weight.to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name}");
    }
    // Without its foreign objects, a module that was saved whole holds no tensors.
    let skipping = Options { skip_unknown: true, ..Options::default() };
    let error = open(&folder.path().join("module.bad"), &skipping).expect_err("a module");
    assert!(error.to_string().contains("save `model.state_dict()`"), "{error}");
}
