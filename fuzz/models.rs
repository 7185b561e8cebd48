//! What is fuzzed of models: the configuration of our own format, and the tensors' names and shapes that
//! architectures are recognised by.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pentimento::Model;
use pentimento::checkpoint::Checkpoint;
use pentimento::graph::{Encoding, Param, Storage};
use pentimento::models::Options;

/// The repository: this file is compiled by fuzz/ and by the tests around it.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.ends_with("fuzz") { root.parent().unwrap_or(root) } else { root }.to_owned()
}

fn goldens(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/goldens").join(folder)).expect("goldens");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a case").path()).collect();
    paths.sort();
    paths
}

/// Whatever is recognised is built; whatever is not is refused in one line.
fn check(found: pentimento::Result<Model>) {
    match found {
        Ok(model) => drop(model.graph(model.input_shape(17, 19))),
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}

/// The configuration in the metadata of an MMRB-Net: `data` is its text.
pub fn metadata(data: &[u8]) {
    static TENSORS: OnceLock<Checkpoint> = OnceLock::new();
    let Ok(config) = std::str::from_utf8(data) else { return };
    let tensors = TENSORS.get_or_init(|| {
        let path = root().join("tests/goldens/mmrbnet/default_32/checkpoint.safetensors");
        Checkpoint::open(&path).expect("a golden")
    });
    let file = Checkpoint::from_params("m", tensors.tensors().cloned());
    let file = file.with_metadata("arch", "mmrbnet").with_metadata("config", config);
    check(Model::from_checkpoint(file, &Options::default()));
}

/// The configurations of the goldens.
pub fn configurations() -> Vec<Vec<u8>> {
    let checkpoint = |folder: &PathBuf| Checkpoint::open(&folder.join("checkpoint.safetensors"));
    let config = |folder: PathBuf| {
        let found = checkpoint(&folder).ok()?;
        Some(found.metadata("config")?.as_bytes().to_vec())
    };
    goldens("mmrbnet").into_iter().filter_map(config).collect()
}

/// A tensor's name, dimensions, and values where the architecture reads them.
type Tensor = (String, Vec<usize>, Option<Vec<f32>>);

/// Values of a tensor at most.
const VALUES: usize = 1 << 18;

/// Names and shapes of the small cases of `tests/goldens`.
fn cases() -> &'static [Vec<Tensor>] {
    static CASES: OnceLock<Vec<Vec<Tensor>>> = OnceLock::new();
    CASES.get_or_init(|| {
        let folders = goldens("upscalers").into_iter().chain(goldens("esrgan"));
        let read = |folder: PathBuf| -> Vec<Tensor> {
            let text = std::fs::read(folder.join("tensors.json")).expect("a list of tensors");
            let list: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            let entries = list.as_object().expect("names").iter();
            let size = |v: &serde_json::Value| v.as_u64().expect("a size") as usize;
            let tensor = |(name, entry): (&String, &serde_json::Value)| match &entry[0] {
                serde_json::Value::Array(dims) => {
                    (name.clone(), dims.iter().map(size).collect(), None)
                }
                // The distances in a window.
                _ => {
                    let [rows, columns] = [1, 2].map(|i| size(&entry[i]));
                    let across = 2 * columns - 1;
                    let far = |i: usize, side: usize| i as f32 - (side - 1) as f32;
                    let values = (0..(2 * rows - 1) * across)
                        .flat_map(|i| [far(i / across, rows), far(i % across, columns)])
                        .collect::<Vec<f32>>();
                    (name.clone(), vec![values.len() / 2, 2], Some(values))
                }
            };
            entries.map(tensor).collect()
        };
        folders.map(read).filter(|tensors| tensors.len() < 300).collect()
    })
}

/// Names and shapes of tensors, changed: the first byte says whose, then every four bytes are a change
/// of one tensor: which, what, and by how much.
pub fn architecture(data: &[u8]) {
    let Some((&case, changes)) = data.split_first() else { return };
    let mut tensors = cases()[usize::from(case) % cases().len()].clone();
    for change in changes.as_chunks::<4>().0.iter().take(16) {
        let [low, high, what, much] = change.map(usize::from);
        if tensors.is_empty() {
            break;
        }
        let at = (low | high << 8) % tensors.len();
        let (name, dims, _) = &mut tensors[at];
        let axis = what >> 4;
        match (what & 15, dims.len()) {
            (0, _) => drop(tensors.remove(at)),
            (1, _) => dims.insert(axis.min(dims.len()), much),
            (2, 1..) => drop(dims.remove(axis % dims.len())),
            (3, 1..) => {
                let axis = axis % dims.len();
                dims[axis] = much;
            }
            (4, 1..) => {
                let axis = axis % dims.len();
                dims[axis] = dims[axis].wrapping_add(much).wrapping_sub(128) % 5000;
            }
            // Another number in the name.
            (5, _) => *name = renumbered(name, axis, much),
            (6, _) => name.push_str(["", ".weight", ".bias", "_ema", ".0"][much % 5]),
            (7, _) => drop(name.pop()),
            // One more of a layer.
            (8, _) => {
                let (name, dims, values) = tensors[at].clone();
                tensors.push((renumbered(&name, axis, much), dims, values));
            }
            _ => {}
        }
    }
    static ZEROS: OnceLock<Storage> = OnceLock::new();
    let zeros = ZEROS.get_or_init(|| Arc::new(vec![0_u8; 2 * VALUES]));
    let params = tensors.into_iter().filter_map(|(name, dims, values)| {
        let count = dims.iter().try_fold(1_usize, |n, &size| n.checked_mul(size))?;
        match values {
            Some(values) if values.len() == count => Some(Param::from_values(name, dims, &values)),
            _ if count > VALUES => None,
            _ => Param::new(name, dims, Encoding::F16, zeros.clone(), 0..2 * count),
        }
    });
    let file = Checkpoint::from_params("m", params);
    check(Model::from_checkpoint(file, &Options::default()));
}

/// The name with its number at place `which` changed to `number`.
fn renumbered(name: &str, which: usize, number: usize) -> String {
    let mut parts: Vec<String> = name.split('.').map(str::to_owned).collect();
    let numbers: Vec<usize> =
        (0..parts.len()).filter(|&i| parts[i].parse::<u32>().is_ok()).collect();
    if let Some(&place) = numbers.get(which % numbers.len().max(1)) {
        // Some are too large for a list of layers.
        parts[place] =
            if number > 250 { "18446744073709551615".into() } else { number.to_string() };
    }
    parts.join(".")
}

/// Every case as it is, and with each kind of change.
pub fn shapes() -> Vec<Vec<u8>> {
    let cases = 0..cases().len() as u8;
    let changed = |case: u8| (0..9).map(move |kind| vec![case, 29 * kind, 0, kind | 0x10, 129]);
    cases.clone().map(|case| vec![case]).chain(cases.flat_map(changed)).collect()
}
