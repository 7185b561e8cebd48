//! Real and golden checkpoints, read and compared with what other programs say is in them.
//!
//! `PENTIMENTO_SHARED` names the folder with `goldens/` and `models/`; without it these tests
//! print that they are skipped.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use pentimento_convert::{Checkpoint, Error, Format, Kind, Options, open};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[path = "../../../tests/support/skipped.rs"]
mod skipped;

use skipped::skip;

fn shared() -> Option<PathBuf> {
    let found = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from);
    if found.is_none() {
        skip("PENTIMENTO_SHARED is not set");
    }
    found
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn skipping() -> Options {
    Options { skip_unknown: true, ..Options::default() }
}

/// The recipe of `golden_digests.py`.
fn digest(checkpoint: &Checkpoint) -> String {
    let mut crc = flate2::Crc::new();
    for tensor in &checkpoint.tensors {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        crc.update(format!("{}\n{}\n{}\n", tensor.name, tensor.dtype, shape.join(",")).as_bytes());
        crc.update(&tensor.to_contiguous_le());
    }
    format!("{:08x}", crc.sum())
}

/// The folders of `goldens/` with a network.
fn cases(shared: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(shared.join("goldens")).unwrap().map(|case| case.unwrap().path());
    let cases: Vec<PathBuf> = folders.filter(|f| f.join("checkpoint.pth").exists()).collect();
    assert!(!cases.is_empty(), "{} holds no case", shared.display());
    cases
}

/// Whether a file holds the bytes that a digest was made of.
fn is_the_file(path: &Path, digest: &Value) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let sum = Sha256::digest(bytes);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    digest["sha256"] == sum
}

/// The files that [`golden_digests.py`](golden_digests.py) read; other goldens have other bytes.
#[test]
fn known_checkpoints_have_the_digest_that_python_computes() {
    let Some(shared) = shared() else { return };
    let digests: Value = serde_json::from_str(include_str!("golden_digests.json")).unwrap();
    let mut compared = 0;
    for (path, expected) in digests.as_object().unwrap() {
        if !is_the_file(&shared.join(path), expected) {
            continue;
        }
        compared += 1;
        for memory_map in [true, false] {
            let options = Options { memory_map, ..Options::default() };
            let checkpoint =
                open(&shared.join(path), &options).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(checkpoint.container.as_deref(), expected["container"].as_str(), "{path}");
            assert_eq!(checkpoint.tensors.len() as u64, expected["tensors"], "{path}");
            assert_eq!(digest(&checkpoint), expected["crc32"].as_str().unwrap(), "{path}");
        }
    }
    if compared == 0 {
        skip(format_args!("none of these checkpoints is in {}", shared.display()));
    }
}

/// A golden's tensors. One with objects besides is read without them.
fn opened(path: &Path) -> Checkpoint {
    open(path, &Options::default()).unwrap_or_else(|refused| {
        assert!(matches!(refused, Error::ForeignGlobal { .. }), "{}: {refused}", path.display());
        open(path, &skipping()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    })
}

#[test]
fn names_shapes_and_types_are_those_of_keys_json() {
    let Some(shared) = shared() else { return };
    for case in cases(&shared) {
        let meta = json(&case.join("meta.json"));
        let checkpoint = opened(&case.join("checkpoint.pth"));
        let format = if meta["format"] == "legacy" { Format::Legacy } else { Format::Zip };
        assert_eq!(checkpoint.format, format, "{case:?}");
        let found: BTreeMap<&str, (Vec<usize>, &str)> = checkpoint
            .tensors
            .iter()
            .map(|t| (t.name.as_str(), (t.shape.clone(), t.dtype.name())))
            .collect();
        let keys = json(&case.join("keys.json"));
        let expected: BTreeMap<&str, (Vec<usize>, &str)> = keys
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let shape = value[0]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|d| d.as_u64().unwrap() as usize)
                    .collect();
                (name.as_str(), (shape, value[1].as_str().unwrap()))
            })
            .collect();
        assert_eq!(found, expected, "{case:?}");
    }
}

/// Shape and dense little-endian bytes of a version 1 `.npy` file.
fn npy(path: &Path) -> (Vec<usize>, String, Vec<u8>) {
    let file = fs::read(path).unwrap();
    assert_eq!(&file[..8], b"\x93NUMPY\x01\0");
    let header = usize::from(u16::from_le_bytes([file[8], file[9]]));
    let text = std::str::from_utf8(&file[10..10 + header]).unwrap();
    assert!(text.contains("'fortran_order': False"));
    let field = |start: &str, end: char| {
        let at = text.find(start).unwrap() + start.len();
        text[at..].split(end).next().unwrap().to_string()
    };
    let shape = field("'shape': (", ')').split(',').filter_map(|d| d.trim().parse().ok()).collect();
    (shape, field("'descr': '", '\''), file[10 + header..].to_vec())
}

#[test]
fn awkward_checkpoints_have_the_expected_tensors() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("goldens/ckpt_stress");
    let keys = json(&folder.join("meta.json"))["keys"].as_object().unwrap().clone();
    for file in ["zip_flat", "zip_nested", "zip_pickle4", "legacy_flat", "legacy_nested"] {
        let checkpoint = open(&folder.join(format!("{file}.pth")), &skipping())
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(checkpoint.tensors.len(), keys.len(), "{file}");
        for tensor in &checkpoint.tensors {
            let (shape, descr, bytes) = npy(&folder.join(format!("expected/{}.npy", tensor.name)));
            assert_eq!(tensor.shape, shape, "{file}: {}", tensor.name);
            assert_eq!(tensor.dtype.name(), keys[&tensor.name][1], "{file}: {}", tensor.name);
            if tensor.dtype.name() == "bfloat16" {
                assert_eq!(descr, "<f4");
                let found: Vec<u8> =
                    tensor.to_f32().into_iter().flat_map(f32::to_le_bytes).collect();
                assert_eq!(found, bytes, "{file}: {}", tensor.name);
            } else {
                assert_eq!(*tensor.to_contiguous_le(), *bytes, "{file}: {}", tensor.name);
            }
        }
    }
}

#[test]
fn bad_checkpoints_are_refused_with_the_reason() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("goldens/ckpt_stress");
    let error = |file: &str| open(&folder.join(file), &Options::default()).unwrap_err();
    assert!(matches!(error("bad_empty.pth"), Error::NotACheckpoint { kind: Kind::Empty }));
    assert!(matches!(error("bad_html.pth"), Error::NotACheckpoint { kind: Kind::Html }));
    assert!(matches!(error("bad_text.pth"), Error::NotACheckpoint { kind: Kind::GitLfs }));
    assert!(matches!(error("bad_truncated_legacy.pth"), Error::Truncated { .. }));
    assert!(matches!(error("bad_truncated_zip.pth"), Error::Zip { .. }));
    assert!(matches!(error("nothing.pth"), Error::Io { .. }));
    let Error::ForeignGlobal { module, name, at } = error("evil_reduce.pth") else { panic!() };
    assert_eq!(
        (module.as_str(), name.as_str(), at.offset, at.stream),
        ("posix", "system", 189, "data.pkl")
    );
    let Error::ForeignGlobal { module, name, .. } = error("zip_nested.pth") else { panic!() };
    assert_eq!((module.as_str(), name.as_str()), ("argparse", "Namespace"));
}

#[test]
fn a_foreign_object_is_dropped_on_request() {
    let Some(shared) = shared() else { return };
    let checkpoint =
        open(&shared.join("goldens/ckpt_stress/evil_reduce.pth"), &skipping()).unwrap();
    assert_eq!(checkpoint.container.as_deref(), Some("params"));
    assert_eq!(checkpoint.dropped, ["x (an object of posix.system)"]);
    assert_eq!(checkpoint.get("w").unwrap().to_f32(), [1.0, 1.0]);
}

#[test]
fn a_training_checkpoint_gives_its_weights_only() {
    let Some(shared) = shared() else { return };
    let checkpoint = open(&shared.join("models/yunet_n.pth"), &Options::default()).unwrap();
    assert_eq!(checkpoint.container.as_deref(), Some("state_dict"));
    assert_eq!(checkpoint.candidates, ["state_dict"]);
    assert_eq!(checkpoint.dropped, ["meta (a dictionary)", "optimizer (a dictionary)"]);
}

/// Of a case with two sets of weights, the smoothed ones are taken, and others on request.
#[test]
fn a_container_is_chosen_or_asked_for() {
    let Some(shared) = shared() else { return };
    for case in cases(&shared) {
        let path = case.join("checkpoint.pth");
        let ask = |key: &str| {
            let options =
                Options { key: Some(key.into()), skip_unknown: true, ..Default::default() };
            open(&path, &options)
        };
        let checkpoint = opened(&path);
        match json(&case.join("meta.json"))["container"].as_str().unwrap() {
            "params+params_ema" => {
                assert_eq!(checkpoint.container.as_deref(), Some("params_ema"));
                assert_eq!(checkpoint.candidates, ["params_ema", "params"]);
                assert_eq!(ask("params").unwrap().container.as_deref(), Some("params"));
                let Error::NoSuchContainer { candidates, .. } = ask("g_ema").unwrap_err() else {
                    panic!("{case:?}")
                };
                assert_eq!(candidates, ["params_ema", "params"]);
            }
            "g_ema+latent_avg" => {
                assert_eq!(checkpoint.candidates, ["g_ema", ""]);
                assert!(checkpoint.dropped.contains(&"latent_avg (a tensor)".to_owned()));
                let top = ask("").unwrap();
                assert_eq!(top.container, None);
                assert_eq!(top.tensors.len(), 1);
            }
            _ => {}
        }
    }
}
