//! Conversions, from file to file.
//!
//! `PENTIMENTO_SHARED` names the folder with `goldens/`, and `PENTIMENTO_PYTHON` a Python that has
//! PyTorch (without it `python3` is tried). What cannot be compared is said to be skipped.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use half::{bf16, f16};
use pentimento_convert::{
    Convert, Dtype, Element, Error, Format, Options, Recognition, Report, Source, convert,
};
use safetensors::SafeTensors;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

#[path = "../../../tests/support/skipped.rs"]
mod skipped;

#[path = "hostile/build.rs"]
#[allow(dead_code)]
mod build;

use build::*;
use skipped::skip;

fn shared() -> Option<PathBuf> {
    let found = std::env::var_os("PENTIMENTO_SHARED").map(PathBuf::from);
    if found.is_none() {
        skip("PENTIMENTO_SHARED is not set");
    }
    found
}

fn skipping() -> Convert<'static> {
    let options = Options { skip_unknown: true, ..Options::default() };
    Convert { options, ..Convert::default() }
}

/// A folder whose file `in` has these bytes.
fn folder(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), bytes).unwrap();
    folder
}

fn run(folder: &TempDir, options: &Convert<'_>) -> Result<(Report, Vec<u8>), Error> {
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let report = convert(&input, &output, options, &mut |_, _| {})?;
    Ok((report, fs::read(output).unwrap()))
}

/// Converts a checkpoint in memory.
fn converted(bytes: &[u8], options: &Convert<'_>) -> (Report, Vec<u8>) {
    run(&folder(bytes), options).unwrap()
}

/// Type, shape and bytes of a tensor in a safetensors file.
fn tensor(file: &[u8], name: &str) -> (safetensors::Dtype, Vec<usize>, Vec<u8>) {
    let parsed = SafeTensors::deserialize(file).unwrap();
    let view = parsed.tensor(name).unwrap();
    (view.dtype(), view.shape().to_vec(), view.data().to_vec())
}

fn metadata(file: &[u8]) -> BTreeMap<String, String> {
    let (_, header) = SafeTensors::read_metadata(file).unwrap();
    header.metadata().clone().unwrap().into_iter().collect()
}

/// A zip checkpoint with one storage per tensor: name, storage class and bytes.
fn checkpoint(tensors: &[(&str, &str, Vec<u8>)]) -> Vec<u8> {
    let keys: Vec<String> = (0..tensors.len()).map(|i| i.to_string()).collect();
    let sizes = |class: &str| match class {
        "DoubleStorage" | "LongStorage" => 8,
        "FloatStorage" => 4,
        _ => 2,
    };
    let pickle = tensors.iter().zip(&keys).fold(Pickle::new().raw(b"}("), |p, (tensor, key)| {
        let (name, class, bytes) = tensor;
        let n = (bytes.len() / sizes(class)) as i64;
        p.text(name).tensor(&Tensor { class, key, numel: n, shape: &[n], strides: &[1], ..SIX })
    });
    let storages: Vec<(&str, &[u8])> =
        tensors.iter().zip(&keys).map(|((.., bytes), key)| (key.as_str(), &bytes[..])).collect();
    archive(&pickle.stop(b"u"), &storages)
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn every_golden_keeps_every_bit() {
    let Some(shared) = shared() else { return };
    let digests: Value = serde_json::from_str(include_str!("golden_digests.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (path, expected) in digests.as_object().unwrap() {
        let (input, output) = (shared.join(path), folder.path().join("out"));
        let overwrite = Convert { overwrite: true, ..Convert::default() };
        let report = convert(&input, &output, &overwrite, &mut |_, _| {}).unwrap();
        assert_eq!(report.tensors as u64, expected["tensors"], "{path}");
        let file = fs::read(&output).unwrap();
        assert_eq!(report.bytes, file.len() as u64, "{path}");
        // The recipe of `golden_digests.py`, whose order is that of the source.
        let source = Source::open(&input, &Options::default()).unwrap();
        let parsed = SafeTensors::deserialize(&file).unwrap();
        let mut crc = flate2::Crc::new();
        for entry in &source.contents().tensors {
            let view = parsed.tensor(&entry.name).unwrap();
            let shape: Vec<String> = view.shape().iter().map(usize::to_string).collect();
            let head = format!("{}\n{}\n{}\n", entry.name, entry.dtype, shape.join(","));
            crc.update(head.as_bytes());
            crc.update(view.data());
        }
        assert_eq!(format!("{:08x}", crc.sum()), expected["crc32"].as_str().unwrap(), "{path}");
    }
}

/// Runs PyTorch on the same files.
#[test]
fn pytorch_loads_the_same_bits() {
    let Some(shared) = shared() else { return };
    let python = std::env::var("PENTIMENTO_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", "import torch"]).output();
    if !found.is_ok_and(|run| run.status.success()) {
        skip(format_args!("{python} has no PyTorch; set PENTIMENTO_PYTHON"));
        return;
    }
    let goldens = fs::read_dir(shared.join("goldens")).unwrap();
    let mut inputs: Vec<PathBuf> = goldens
        .map(|case| case.unwrap().path().join("checkpoint.pth"))
        .filter(|path| path.exists())
        .collect();
    // Not `zip_pickle4`: PyTorch reads protocol 4 only where it also executes.
    for name in ["zip_flat", "zip_nested", "legacy_flat", "legacy_nested"] {
        inputs.push(shared.join(format!("goldens/ckpt_stress/{name}.pth")));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare_torch.py");
    let mut comparison = Command::new(&python);
    comparison.arg(script);
    for (i, input) in inputs.iter().enumerate() {
        let output = folder.path().join(i.to_string());
        let report = convert(input, &output, &skipping(), &mut |_, _| {}).unwrap();
        comparison.arg(input).arg(report.container.unwrap_or_default()).arg(output);
    }
    let run = comparison.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    print!("{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
fn the_file_is_sorted_aligned_and_the_same_every_time() {
    let tensors = [
        ("z", "FloatStorage", f32s(&[1.0])),
        ("b", "HalfStorage", vec![1, 2]),
        ("a", "LongStorage", vec![7; 8]),
        ("c", "FloatStorage", f32s(&[2.0, 3.0])),
    ];
    let (_, file) = converted(&checkpoint(&tensors), &Convert::default());
    let (_, again) = converted(&checkpoint(&tensors), &Convert::default());
    assert!(file == again);
    let length = u64::from_le_bytes(file[..8].try_into().unwrap());
    assert_eq!(length % 8, 0);
    let header = std::str::from_utf8(&file[8..8 + length as usize]).unwrap();
    let place = |name: &str| header.find(&format!("{name:?}:")).unwrap();
    let names = ["__metadata__", "converter", "source_sha256", "a", "c", "z", "b"];
    assert!(names.is_sorted_by_key(|name| place(name)), "{header}");
    assert_eq!(
        &file[8 + length as usize..],
        [&[7; 8], &f32s(&[2.0, 3.0, 1.0])[..], &[1, 2]].concat()
    );
}

#[test]
fn the_metadata_say_where_it_came_from() {
    let recognition = Recognition {
        architecture: "Net".into(),
        parameters: [("size".to_string(), "6".to_string())].into(),
    };
    let recognise = |source: &mut Source| {
        let contents = source.contents();
        assert_eq!(contents.tensors[0].shape(), [2, 3]);
        Ok(recognition.clone())
    };
    let recognised = Convert { recognise: Some(&recognise), ..Convert::default() };
    let (report, file) = converted(&small_zip(), &recognised);
    let hash: String = Sha256::digest(small_zip()).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(report.source_sha256, hash);
    assert_eq!(report.recognition, Some(Ok(recognition.clone())));
    let expected = [
        ("architecture", "Net"),
        ("converter", concat!("pentimento-convert ", env!("CARGO_PKG_VERSION"))),
        ("parameters", r#"{"size":"6"}"#),
        ("source_sha256", &hash),
    ];
    let expected = expected.map(|(key, value)| (key.to_string(), value.to_string()));
    assert_eq!(metadata(&file), expected.clone().into());

    // Converted again, by one that recognises nothing: what was said of the first source is gone.
    let unknown = |_: &mut Source| Err("never seen".to_string());
    let named = Convert {
        recognise: Some(&unknown),
        architecture: Some("Other".into()),
        ..Convert::default()
    };
    let (report, file) = converted(&file, &named);
    assert_eq!(report.recognition, Some(Err("never seen".into())));
    let metadata = metadata(&file);
    assert_eq!((metadata["architecture"].as_str(), metadata.len()), ("Other", 3));
    assert_ne!(metadata["source_sha256"], hash);

    let wrong = Convert { architecture: Some("Other".into()), ..recognised };
    let error = run(&folder(&small_zip()), &wrong).unwrap_err();
    assert_eq!(error.to_string(), "these are tensors of Net, not of Other");
}

#[test]
fn metadata_of_a_safetensors_file_stay() {
    let (report, file) = converted(&small_safetensors(), &Convert::default());
    assert_eq!(report.format, Format::Safetensors);
    assert_eq!(metadata(&file)["a"], "b");
    assert_eq!(tensor(&file, "w").2, six_floats());
}

#[test]
fn all_ways_to_store_a_tensor_give_the_same() {
    let pickle = Pickle::dict(&[("w", SIX)]);
    let deflated =
        zip(&[Entry::deflated("a/data.pkl", &pickle), Entry::deflated("a/data/0", &six_floats())]);
    let big = zip(&[
        Entry::stored("a/data.pkl", &pickle),
        Entry::stored("a/data/0", &six_floats_big_endian()),
        Entry::stored("a/byteorder", b"big"),
    ]);
    let typed = Tensor { numel: 24, ..SIX };
    let typed = Pickle::new().raw(b"}").text("w").typed_tensor(&typed, "float32").stop(b"s");
    let typed = archive(&typed, &[("0", &six_floats())]);
    let subclass =
        Pickle::new().raw(b"}").text("w").global("torch._tensor", "_rebuild_from_type_v2");
    let subclass = subclass.raw(b"(").global("torch._utils", "_rebuild_tensor_v2");
    let subclass = subclass.global("torch", "Tensor").tensor_arguments(&SIX).stop(b"}tRs");
    let subclass = archive(&subclass, &[("0", &six_floats())]);
    let parameter = Pickle::new().raw(b"}").text("w");
    let parameter = parameter.global("torch._utils", "_rebuild_parameter_with_state").raw(b"(");
    let parameter = archive(&parameter.tensor(&SIX).stop(b"\x88}}tRs"), &[("0", &six_floats())]);
    for file in [small_zip(), small_legacy(), deflated, big, typed, subclass, parameter] {
        let (_, file) = converted(&file, &Convert::default());
        assert_eq!(tensor(&file, "w"), (safetensors::Dtype::F32, vec![2, 3], six_floats()));
    }
}

#[test]
fn large_tensors_come_in_pieces() {
    // More than one piece of 1 MiB; as they are, transposed, deflated, and of the other byte order.
    let (rows, columns) = (700, 901);
    let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
    let numel = values.len() as i64;
    let shape = [rows as i64, columns as i64];
    let straight = Tensor { numel, shape: &shape, strides: &[shape[1], 1], ..SIX };
    let turned = [shape[1], shape[0]];
    let transposed = Tensor { numel, shape: &turned, strides: &[1, shape[1]], ..SIX };
    let pickle = Pickle::dict(&[("straight", straight), ("transposed", transposed)]);
    let pickle = Entry::stored("a/data.pkl", &pickle);
    let big: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let order = Entry::stored("a/byteorder", b"big");
    let columns_first: Vec<f32> =
        (0..columns).flat_map(|c| (0..rows).map(move |r| (r * columns + c) as f32)).collect();
    for file in [
        zip(&[pickle.clone(), Entry::stored("a/data/0", &f32s(&values))]),
        zip(&[pickle.clone(), Entry::deflated("a/data/0", &f32s(&values))]),
        zip(&[pickle.clone(), Entry::stored("a/data/0", &big), order]),
    ] {
        let (_, file) = converted(&file, &Convert::default());
        assert!(tensor(&file, "straight").2 == f32s(&values));
        assert!(tensor(&file, "transposed").2 == f32s(&columns_first));
        assert_eq!(tensor(&file, "transposed").1, [columns, rows]);
    }
}

#[test]
fn f16_is_for_tensors_that_survive_it() {
    let doubles = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let wide = [1.0, -0.1, 65504.0, 0.0, f32::INFINITY, f32::NAN];
    let brains: Vec<u8> =
        [3.0, 1e-9].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
    let file = checkpoint(&[
        ("fine", "FloatStorage", f32s(&wide)),
        ("over", "FloatStorage", f32s(&[65536.0, -1e9, 1.0, 1e-9])),
        ("tiny", "FloatStorage", f32s(&[1e-6, 2e-6, 1e-9])),
        ("some", "FloatStorage", f32s(&[1.0, 1e-9, -1e-9])),
        ("zero", "FloatStorage", f32s(&[0.0, -0.0])),
        ("double", "DoubleStorage", doubles(&[0.1, 1.0])),
        ("doubles", "DoubleStorage", doubles(&[1e9, 1.0])),
        ("vast", "DoubleStorage", doubles(&[1e200, 1.0])),
        ("brain", "BFloat16Storage", brains),
        ("count", "LongStorage", vec![1; 16]),
    ]);
    let (report, out) = converted(&file, &Convert { element: Element::F16, ..Convert::default() });
    let halves = |values: &[f32]| -> Vec<u8> {
        values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
    };
    let type_of = |name: &str| tensor(&out, name).0;
    use safetensors::Dtype::{F16, F32, F64, I64};
    for (name, dtype) in [
        ("fine", F16),
        ("over", F32),
        ("tiny", F32),
        ("some", F16),
        ("zero", F16),
        ("double", F16),
        ("doubles", F32),
        ("vast", F64),
        ("brain", F16),
        ("count", I64),
    ] {
        assert_eq!(type_of(name), dtype, "{name}");
    }
    assert_eq!(tensor(&out, "fine").2, halves(&wide));
    assert_eq!(tensor(&out, "over").2, f32s(&[65536.0, -1e9, 1.0, 1e-9]));
    assert_eq!(tensor(&out, "double").2, halves(&[0.1, 1.0]));
    assert_eq!(tensor(&out, "doubles").2, f32s(&[1e9, 1.0]));
    assert_eq!(tensor(&out, "brain").2, halves(&[bf16::from_f32(3.0).into(), 0.0]));
    assert_eq!(report.flushed, 3);
    let kept: Vec<(&str, Dtype, u64, u64)> =
        (report.kept.iter()).map(|k| (k.name.as_str(), k.dtype, k.overflowed, k.flushed)).collect();
    let expected = [
        ("doubles", Dtype::F32, 1, 0),
        ("vast", Dtype::F64, 1, 0),
        ("over", Dtype::F32, 2, 1),
        ("tiny", Dtype::F32, 0, 1),
    ];
    for line in expected {
        assert!(kept.contains(&line), "{line:?}: {kept:?}");
    }
    assert_eq!(kept.len(), 4);

    let (report, out) = converted(&file, &Convert { element: Element::F32, ..Convert::default() });
    assert_eq!(tensor(&out, "double").2, f32s(&[0.1, 1.0]));
    assert_eq!(tensor(&out, "vast").0, F64);
    assert_eq!(tensor(&out, "brain").2, f32s(&[3.0, bf16::from_f32(1e-9).into()]));
    assert_eq!((report.kept.len(), report.flushed), (1, 0));
}

#[test]
fn names_lose_the_prefixes_of_training() {
    let file = checkpoint(&[
        ("net_g.module.a", "FloatStorage", f32s(&[1.0])),
        ("net_g.module.b", "FloatStorage", f32s(&[2.0])),
    ]);
    let (report, file) = converted(&file, &Convert::default());
    assert_eq!(report.stripped, ["net_g.", "module."]);
    assert_eq!(tensor(&file, "b").2, f32s(&[2.0]));
    // In safetensors too.
    let header = small_safetensors();
    let header = std::str::from_utf8(&header[8..header.len() - 24]).unwrap();
    let renamed = safetensors(&header.replace("\"w\"", "\"module.w\""), &six_floats());
    let (report, file) = converted(&renamed, &Convert::default());
    assert_eq!(report.stripped, ["module."]);
    assert_eq!(tensor(&file, "w").2, six_floats());
}

/// Names and bytes.
type Files<'a> = Vec<(&'a str, Vec<u8>)>;

/// A folder with these files.
fn shards(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join("in").join(name), bytes).unwrap();
    }
    folder
}

/// A safetensors file with one float, and metadata that only one shard has, and that all have.
fn shard(name: &str, value: f32) -> Vec<u8> {
    let info = r#"{"dtype":"F32","shape":[],"data_offsets":[0,4]}"#;
    let metadata = format!(r#"{{"format":"pt","part":"{name}"}}"#);
    safetensors(&format!(r#"{{"__metadata__":{metadata},"{name}":{info}}}"#), &value.to_le_bytes())
}

fn index(map: &str) -> Vec<u8> {
    format!(r#"{{"metadata":{{"total_size":8}},"weight_map":{map}}}"#).into()
}

#[test]
fn shards_become_one_file() {
    let two = [("1.safetensors", shard("a", 1.0)), ("2.safetensors", shard("b", 2.0))];
    let indexed = [
        two[0].clone(),
        two[1].clone(),
        ("3.safetensors", shard("a", 3.0)),
        ("m.safetensors.index.json", index(r#"{"a":"1.safetensors","b":"2.safetensors"}"#)),
    ];
    for files in [&two[..], &indexed] {
        let folder = shards(files);
        let (report, file) = run(&folder, &Convert::default()).unwrap();
        assert_eq!(tensor(&file, "a").2, f32s(&[1.0]));
        assert_eq!(tensor(&file, "b").2, f32s(&[2.0]));
        let metadata = metadata(&file);
        assert_eq!(metadata["format"], "pt");
        assert!(!metadata.contains_key("part"));
        let hash = |bytes: &[u8]| -> String {
            Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
        };
        assert_eq!(report.source_sha256, format!("{},{}", hash(&two[0].1), hash(&two[1].1)));
    }
}

#[test]
fn shards_that_are_not_one_checkpoint_are_refused() {
    let (a, b) = (("1.safetensors", shard("a", 1.0)), ("2.safetensors", shard("b", 2.0)));
    let with = |map: &str| vec![a.clone(), b.clone(), ("m.safetensors.index.json", index(map))];
    let cases: [(Files<'_>, &str); 9] = [
        (vec![], "holds no .safetensors file"),
        (vec![("a.pth", small_zip())], "holds no .safetensors file"),
        (vec![a.clone(), ("2.safetensors", a.1.clone())], "the name \"a\" twice"),
        (vec![a.clone(), ("2.safetensors", small_zip()[..9].to_vec())], "2.safetensors: "),
        (with(r#"{"a":"3.safetensors"}"#), "names \"3.safetensors\""),
        (with(r#"{"a":"../in/1.safetensors"}"#), "names \"../in/1.safetensors\""),
        (with(r#"{"a":"1.safetensors","c":"1.safetensors"}"#), "lists \"c\""),
        (with("{]"), "its index is not sound"),
        ([with("{}"), vec![("n.safetensors.index.json", index("{}"))]].concat(), "several indices"),
    ];
    for (files, says) in cases {
        let error = run(&shards(&files), &Convert::default()).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn an_output_is_whole_or_not_there() {
    let sound = folder(&small_zip());
    let path = |name: &str| sound.path().join(name);
    let convert_to = |output: &Path, overwrite| {
        let options = Convert { overwrite, ..Convert::default() };
        convert(&path("in"), output, &options, &mut |_, _| {})
    };
    fs::write(path("there"), "mine").unwrap();
    let error = convert_to(&path("there"), false).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(fs::read(path("there")).unwrap(), b"mine");
    convert_to(&path("there"), true).unwrap();
    assert_eq!(tensor(&fs::read(path("there")).unwrap(), "w").2, six_floats());

    let error = convert_to(&path("in"), true).unwrap_err();
    assert!(matches!(error, Error::SameFile { .. }), "{error}");
    assert_eq!(fs::read(path("in")).unwrap(), small_zip());
    for impossible in ["missing/out", "in/out", "."] {
        let error = convert_to(&path(impossible), true).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{impossible}: {error}");
    }

    // The second tensor's bytes are damaged: known after the first was written.
    let storages = [&f32s(&[1.0; 1000])[..], &f32s(&[2.0; 1000])];
    let file = checkpoint(&[
        ("a", "FloatStorage", storages[0].to_vec()),
        ("b", "FloatStorage", storages[1].to_vec()),
    ]);
    let at = file.windows(4000).position(|w| w == storages[1]).unwrap();
    let mut damaged = file.clone();
    damaged[at + 99] ^= 1;
    let damaged = folder(&damaged);
    assert!(matches!(run(&damaged, &Convert::default()), Err(Error::Checksum { .. })));
    assert_eq!(fs::read_dir(damaged.path()).unwrap().count(), 1);
}

#[test]
fn progress_goes_to_the_end() {
    let file = checkpoint(&[
        ("a", "FloatStorage", f32s(&[1.0; 1 << 20])),
        ("b", "DoubleStorage", vec![0; 1 << 20]),
        ("c", "LongStorage", vec![0; 1 << 20]),
    ]);
    for element in [Element::Keep, Element::F32, Element::F16] {
        let sound = folder(&file);
        let options = Convert { element, ..Convert::default() };
        let mut seen = Vec::new();
        let (input, output) = (sound.path().join("in"), sound.path().join("out"));
        convert(&input, &output, &options, &mut |done, total| seen.push((done, total))).unwrap();
        assert!(seen.len() >= 6, "{seen:?}");
        assert!(seen.is_sorted_by_key(|(done, _)| *done), "{seen:?}");
        assert!(seen.iter().all(|(done, total)| done <= total), "{seen:?}");
        let (done, total) = seen[seen.len() - 1];
        assert_eq!(done, total, "{element:?}");
    }
}

/// Linux tells how much memory a process had; this one starts itself to have it to itself.
#[test]
fn memory_does_not_grow_with_the_file() {
    const VARIABLE: &str = "PENTIMENTO_CONVERT_IN";
    const NAME: &str = "memory_does_not_grow_with_the_file";
    if let Some(input) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        for element in [Element::Keep, Element::F16] {
            let options = Convert { element, overwrite: true, ..Convert::default() };
            convert(&input, &input.with_extension("out"), &options, &mut |_, _| {}).unwrap();
        }
        let status = fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
        return;
    }
    if !cfg!(target_os = "linux") {
        skip("no /proc/self/status");
        return;
    }
    // 96 MiB in six tensors.
    let bytes: Vec<u8> = f32s(&[1.5; 1 << 22]);
    let names = ["a", "b", "c", "d", "e", "f"];
    let tensors = names.map(|name| (name, "FloatStorage", bytes.clone()));
    let folder = folder(&checkpoint(&tensors));
    let run = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(VARIABLE, folder.path().join("in"))
        .output()
        .unwrap();
    let out = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{out}");
    let peak = out.lines().find_map(|line| line.split_once("VmHWM:")).unwrap().1;
    let kib: usize = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    println!("{} MiB", kib >> 10);
    assert!(kib < 32 << 10, "{peak}");
}

#[test]
fn shards_of_pytorch_are_joined_by_their_index() {
    let part = |name: &str| archive(&Pickle::dict(&[(name, SIX)]), &[("0", &six_floats())]);
    let map = r#"{"generator.a.w":"m-1.bin","generator_ema.a.w":"m-2.bin"}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("m-1.bin"), part("generator.a.w")).unwrap();
    fs::write(path("m-2.bin"), part("generator_ema.a.w")).unwrap();
    fs::write(path("m.bin.index.json"), index(map)).unwrap();
    // The networks are told apart when all tensors are known, and each is read from its own file.
    for input in [folder.path().to_owned(), path("m.bin.index.json")] {
        for (key, place) in [(None, "m-2.bin"), (Some("generator."), "m-1.bin")] {
            let options = Options { key: key.map(str::to_owned), ..Options::default() };
            let mut source = Source::open(&input, &options).unwrap();
            assert_eq!(source.contents().tensors.len(), 1, "{place}");
            assert_eq!(source.contents().tensors[0].name, "a.w", "{place}");
            assert_eq!(source.tensor(0).unwrap().to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        }
    }
    fs::write(path("m.bin.index.json"), index(r#"{"generator.a.w":"../m-1.bin"}"#)).unwrap();
    let error = Source::open(folder.path(), &Options::default()).err().unwrap().to_string();
    assert!(error.contains("which is not in it"), "{error}");
}
