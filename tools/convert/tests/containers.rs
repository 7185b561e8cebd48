//! Every shape in which weights are saved: where they lie, under which names, in how many files. The
//! smoothed ones are taken, everything else is listed, and `key` reaches whatever is listed.

use std::{fs, path::Path, sync::Arc};

use pentimento_convert::{Options, Source};

#[path = "hostile/build.rs"]
#[allow(dead_code)]
mod build;

use build::*;

/// What a checkpoint holds.
#[derive(Clone)]
enum Node {
    /// A network's tensors, their names with this before them.
    Network(&'static str, Weights),
    /// A tensor of one value.
    Scalar,
    /// A number of Python.
    Number,
    /// A text of Python.
    Text,
    Dict(Vec<(&'static str, Node)>),
    /// The entries of several, one after the other.
    Beside(Vec<Node>),
}

/// Which weights: every value of a tensor is 1 or 2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weights {
    Raw,
    Smoothed,
}

use Node::{Beside, Dict, Network, Number, Scalar, Text};
use Weights::{Raw, Smoothed};

/// The tensors of each network here.
const NAMES: [&str; 3] = ["conv.weight", "body.0.weight", "body.0.norm.bias"];

fn storage(weights: Weights) -> (&'static str, f32) {
    if weights == Raw { ("1", 1.0) } else { ("2", 2.0) }
}

/// The entries of a dictionary.
fn entries(pickle: Pickle, node: &Node) -> Pickle {
    match node {
        Network(prefix, weights) => NAMES.iter().fold(pickle, |p, name| {
            let tensor = Tensor { key: storage(*weights).0, ..SIX };
            p.text(&format!("{prefix}{name}")).tensor(&tensor).raw(b"s")
        }),
        Dict(inner) => inner.iter().fold(pickle, |p, (name, node)| match node {
            // Its tensors are entries of this dictionary.
            Network(..) if name.is_empty() => entries(p, node),
            node => value(p.text(name), node).raw(b"s"),
        }),
        Beside(nodes) => nodes.iter().fold(pickle, entries),
        Scalar | Number | Text => panic!("a value is not a dictionary"),
    }
}

fn value(pickle: Pickle, node: &Node) -> Pickle {
    match node {
        Scalar => pickle.tensor(&Tensor { key: "1", shape: &[], strides: &[], ..SIX }),
        Number => pickle.int(7),
        Text => pickle.text("adam"),
        node => entries(pickle.raw(b"}"), node),
    }
}

fn storages() -> [(&'static str, Vec<u8>); 2] {
    [Raw, Smoothed].map(|weights| {
        let (key, value) = storage(weights);
        (key, [value; 6].iter().flat_map(|v| v.to_le_bytes()).collect())
    })
}

fn pickle(root: &Node) -> Vec<u8> {
    value(Pickle::new(), root).stop(b"")
}

/// In both of PyTorch's formats.
fn files(root: &Node) -> [Vec<u8>; 2] {
    let pickled = pickle(root);
    // As PyTorch writes them: only those that a tensor lies in.
    let text = |key: &str| [&b"X\x01\0\0\0"[..], key.as_bytes()].concat();
    let named = |key: &str| pickled.windows(6).any(|window| window == text(key));
    let data: Vec<(&str, Vec<u8>)> = storages().into_iter().filter(|(key, _)| named(key)).collect();
    let zipped: Vec<(&str, &[u8])> = data.iter().map(|(key, data)| (*key, &data[..])).collect();
    let listed: Vec<(&str, u64, &[u8])> =
        data.iter().map(|(key, data)| (*key, 6, &data[..])).collect();
    [archive(&pickled, &zipped), legacy(&with_views(root), &listed)]
}

/// The legacy format has a member more for each storage.
fn with_views(root: &Node) -> Vec<u8> {
    let plain = pickle(root);
    // `… cpu, 6)` and the reference, as `Pickle::storage` writes them.
    let end = [&[0x8a, 8][..], &6_i64.to_le_bytes(), b"tQ"].concat();
    let mut out = Vec::new();
    let mut at = 0;
    while at < plain.len() {
        if plain[at..].starts_with(&end) {
            out.extend(&end[..end.len() - 2]);
            out.extend(b"NtQ");
            at += end.len();
        } else {
            out.push(plain[at]);
            at += 1;
        }
    }
    out
}

/// Opens the file as it is and with each key that it lists.
#[track_caller]
fn check(what: &str, bytes: &[u8], container: Option<&str>, weights: Weights) {
    let open = |key: Option<&str>| {
        let options = Options { key: key.map(str::to_owned), ..Options::default() };
        Source::from_shared(Arc::new(bytes.to_vec()), &options)
    };
    let source = open(None).unwrap_or_else(|error| panic!("{what}: {error}"));
    is(what, source, container, weights);
    let source = open(None).expect("as before");
    for candidate in source.contents().candidates.clone() {
        let other = open(Some(&candidate));
        let other = other.unwrap_or_else(|error| panic!("{what}, key {candidate:?}: {error}"));
        let found = other.contents();
        assert_eq!(found.container.as_deref().unwrap_or_default(), candidate, "{what}");
        assert!(!found.tensors.is_empty(), "{what}, key {candidate:?}");
    }
}

#[track_caller]
fn is(what: &str, mut source: Source, container: Option<&str>, weights: Weights) {
    let contents = source.contents();
    assert_eq!(contents.container.as_deref(), container, "{what}: {:?}", contents.candidates);
    let mut names: Vec<&str> = contents.tensors.iter().map(|entry| entry.name.as_str()).collect();
    // Counters beside the weights stay, for the engine to know.
    names.retain(|name| name.contains('.'));
    assert_eq!(names, NAMES, "{what}: {:?}", contents.stripped);
    for index in 0..contents.tensors.len() {
        let tensor = source.tensor(index).unwrap_or_else(|error| panic!("{what}: {error}"));
        if tensor.name.contains('.') {
            assert_eq!(tensor.to_f32(), [storage(weights).1; 6], "{what}: {}", tensor.name);
        }
    }
}

#[track_caller]
fn both(what: &str, root: &Node, container: Option<&str>, weights: Weights) {
    for file in files(root) {
        check(what, &file, container, weights);
    }
}

#[test]
fn smoothed_weights_come_first_wherever_they_lie() {
    let raw = || Network("", Raw);
    let ema = || Network("", Smoothed);
    for name in [
        "ema",
        "params_ema",
        "params-ema",
        "g_ema",
        "ema_state_dict",
        "state_dict_ema",
        "model_ema",
        "net_g_ema",
        "ema_model",
        "shadow",
    ] {
        for other in ["params", "g", "state_dict", "model", "net_g", "weights", "mine"] {
            // Whichever comes first in the file.
            for pair in [
                vec![(other, raw()), (name, ema())],
                vec![(name, ema()), (other, raw())],
                vec![("epoch", Number), (name, ema()), ("opt", Text), (other, raw())],
            ] {
                both(&format!("{name} beside {other}"), &Dict(pair), Some(name), Smoothed);
            }
        }
        // Beside raw weights at the top.
        let top = Dict(vec![("", raw()), (name, ema())]);
        both(&format!("{name} beside the top"), &top, Some(name), Smoothed);
    }
}

#[test]
fn dictionaries_lie_in_each_other_six_deep() {
    let path = ["checkpoint", "state", "model", "net", "module", "params"];
    for depth in 1..=path.len() {
        let mut node = Network("", Raw);
        for name in path[..depth].iter().rev() {
            node = Dict(vec![("step", Number), (name, node), ("note", Text)]);
        }
        both(&format!("{depth} deep"), &node, Some(&path[..depth].join("/")), Raw);
        // With smoothed ones beside the innermost.
        let mut node = Dict(vec![("params", Network("", Raw)), ("ema", Network("", Smoothed))]);
        for name in path[..depth - 1].iter().rev() {
            node = Dict(vec![(name, node), ("lr", Number)]);
        }
        let place = [&path[..depth - 1], &["ema"]].concat().join("/");
        both(&format!("smoothed, {depth} deep"), &node, Some(&place), Smoothed);
    }
}

#[test]
fn prefixes_are_taken_off_in_any_order() {
    for prefix in [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "netG.",
        "net_g.module.",
        "module.net_g.",
        "net.",
        "model.",
        "model.net.",
        "net.model.",
        "generator.",
        "generator._orig_mod.",
        "_orig_mod.generator.module.",
        "vqvae.",
        "model.vqvae.module.",
        "_fsdp_wrapped_module.",
        "model.generator.net.module._orig_mod.",
    ] {
        both(prefix, &Network(prefix, Raw), None, Raw);
        let inner = Dict(vec![("params", Network(prefix, Raw)), ("iter", Number)]);
        both(&format!("{prefix} in params"), &inner, Some("params"), Raw);
    }
}

#[test]
fn numbers_beside_the_weights_do_not_hide_them() {
    for container in ["net", "params", "mine"] {
        let beside = Dict(vec![("acc", Scalar), ("epoch", Number), (container, Network("", Raw))]);
        both(&format!("a scalar beside {container}"), &beside, Some(container), Raw);
    }
    let counted = Dict(vec![("n_averaged", Scalar), ("", Network("module.", Smoothed))]);
    both("torch's averaged model", &counted, None, Smoothed);
}

#[test]
fn trainers_files_are_told_apart() {
    // mmagic: all networks in one dictionary of tensors.
    let networks = || {
        Beside(vec![
            Network("generator.", Raw),
            Network("generator_ema.", Smoothed),
            Network("discriminator.", Raw),
        ])
    };
    let mmagic = Dict(vec![
        ("meta", Dict(vec![("epoch", Number), ("config", Text)])),
        ("state_dict", networks()),
        ("message_hub", Dict(vec![("runtime_info", Number)])),
    ]);
    both("mmagic", &mmagic, Some("state_dict/generator_ema."), Smoothed);
    let counted = Beside(vec![networks(), Dict(vec![("step_counter", Scalar)])]);
    both("mmagic, bare", &counted, Some("generator_ema."), Smoothed);
    let without = Dict(vec![(
        "state_dict",
        Beside(vec![Network("generator.", Raw), Network("discriminator.", Smoothed)]),
    )]);
    both("mmagic without smoothing", &without, Some("state_dict/generator."), Raw);
    // Lightning, with what it keeps beside the weights.
    let lightning = |networks| {
        Dict(vec![
            ("epoch", Number),
            ("global_step", Number),
            ("pytorch-lightning_version", Text),
            ("state_dict", networks),
            ("loops", Dict(vec![("fit_loop", Dict(vec![("state_dict", Dict(Vec::new()))]))])),
            ("optimizer_states", Dict(vec![("state", Dict(vec![("exp_avg", Scalar)]))])),
        ])
    };
    let one = lightning(Network("model.", Raw));
    both("Lightning", &one, Some("state_dict"), Raw);
    let several =
        lightning(Beside(vec![Network("vqvae.", Raw), Network("loss.discriminator.", Smoothed)]));
    both("Lightning with a loss", &several, Some("state_dict/vqvae."), Raw);
    // rosinality and BasicSR.
    let train = Dict(vec![
        ("g", Network("", Raw)),
        ("d", Network("", Raw)),
        ("g_ema", Network("", Smoothed)),
        ("g_optim", Dict(vec![("state", Dict(vec![("exp_avg", Scalar)]))])),
    ]);
    both("rosinality", &train, Some("g_ema"), Smoothed);
}

/// The index, and what each of the two files holds.
fn folder(write: impl Fn(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    folder
}

fn index(name: &str, ending: &str, prefix: &str, folder: &Path) {
    let files = NAMES.iter().enumerate().map(|(i, tensor)| {
        format!("\"{prefix}{tensor}\": \"part-{}-of-2.{ending}\"", 1 + usize::from(i > 0))
    });
    let map = files.collect::<Vec<_>>().join(", ");
    let text = format!("{{\"metadata\": {{\"total_size\": 72}}, \"weight_map\": {{{map}}}}}");
    fs::write(folder.join(name), text).expect("room");
}

/// Opens a folder, and the index in it.
#[track_caller]
fn in_parts(what: &str, folder: &Path, index: &str) {
    for path in [folder.to_owned(), folder.join(index)] {
        let source = Source::open(&path, &Options::default());
        let source = source.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(source.files().count(), 2, "{what}");
        is(what, source, None, Smoothed);
    }
}

#[test]
fn checkpoints_in_several_files_are_joined() {
    for prefix in ["", "module.", "model.net."] {
        let name = |tensor: &str| format!("{prefix}{tensor}");
        // Files of PyTorch, in either format.
        for old in [false, true] {
            let parts = folder(|folder| {
                for (part, tensors) in [(1, &NAMES[..1]), (2, &NAMES[1..])] {
                    let names: Vec<String> = tensors.iter().map(|tensor| name(tensor)).collect();
                    let view = old.then_some(&b"N"[..]);
                    let tensor = Tensor { key: "2", view, ..SIX };
                    let tensors: Vec<(&str, Tensor)> =
                        names.iter().map(|name| (name.as_str(), tensor)).collect();
                    let (pickle, data) = (Pickle::dict(&tensors), storages());
                    let file = match old {
                        true => legacy(&pickle, &[("2", 6, &data[1].1)]),
                        false => archive(&pickle, &[("2", &data[1].1)]),
                    };
                    fs::write(folder.join(format!("part-{part}-of-2.bin")), file).expect("room");
                }
                index("pytorch_model.bin.index.json", "bin", prefix, folder);
            });
            let what = format!("bin, {prefix:?}, legacy: {old}");
            in_parts(&what, parts.path(), "pytorch_model.bin.index.json");
        }
        // Files of safetensors, with an index and without.
        let parts = folder(|folder| {
            for (part, tensors) in [(1, &NAMES[..1]), (2, &NAMES[1..])] {
                let entry = |(i, tensor): (usize, &&str)| {
                    let (start, end) = (24 * i, 24 * i + 24);
                    format!(
                        "\"{}\":{{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[{start},{end}]}}",
                        name(tensor)
                    )
                };
                let header: Vec<String> = tensors.iter().enumerate().map(entry).collect();
                let data = storages()[1].1.repeat(tensors.len());
                let file = safetensors(&format!("{{{}}}", header.join(",")), &data);
                fs::write(folder.join(format!("part-{part}-of-2.safetensors")), file)
                    .expect("room");
            }
            index("model.safetensors.index.json", "safetensors", prefix, folder);
        });
        in_parts("safetensors", parts.path(), "model.safetensors.index.json");
        fs::remove_file(parts.path().join("model.safetensors.index.json")).expect("a file");
        let source = Source::open(parts.path(), &Options::default()).expect("a folder");
        is("safetensors without an index", source, None, Smoothed);
    }
}

/// What an index may not do: name a file elsewhere, or a tensor that is in none.
#[test]
fn indices_that_are_wrong_are_refused() {
    let parts = folder(|folder| {
        for part in 1..=2 {
            let name = NAMES[part - 1];
            let pickle = Pickle::dict(&[(name, Tensor { key: "1", ..SIX })]);
            let file = archive(&pickle, &[("1", &storages()[0].1)]);
            fs::write(folder.join(format!("part-{part}-of-2.bin")), file).expect("room");
        }
        index("m.bin.index.json", "bin", "", folder);
    });
    let refusal = || {
        let path = parts.path().join("m.bin.index.json");
        Source::open(&path, &Options::default()).err().expect("it is wrong").to_string()
    };
    // The third tensor of the index is in no file.
    assert!(refusal().contains("body.0.norm.bias"), "{}", refusal());
    for file in ["../a.bin", "/etc/passwd", "part-1-of-2.bin\0", "missing.bin", "a.safetensors"] {
        let text = serde_json::json!({ "weight_map": { "a": file } }).to_string();
        fs::write(parts.path().join("m.bin.index.json"), text).expect("room");
        assert!(refusal().contains("which is not in it"), "{}", refusal());
    }
}
