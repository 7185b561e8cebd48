//! Files that each must be refused with one line, in little time and memory.

use std::io::{Read, Write};

use crate::build::*;

/// A file, and a part of the line that refuses it.
pub struct Hostile {
    pub name: String,
    pub bytes: Vec<u8>,
    pub says: &'static str,
}

/// All of them.
pub fn corpus() -> Vec<Hostile> {
    let mut corpus = Corpus(Vec::new());
    corpus.truncated();
    corpus.lengths();
    corpus.bombs();
    corpus.directories();
    corpus.tensors();
    corpus.calls();
    corpus.names();
    corpus.safetensors();
    corpus.0
}

struct Corpus(Vec<Hostile>);

impl Corpus {
    fn add(&mut self, name: impl Into<String>, bytes: Vec<u8>, says: &'static str) {
        self.0.push(Hostile { name: name.into(), bytes, says });
    }

    /// A zip checkpoint with this pickle and six floats.
    fn pickle(&mut self, name: impl Into<String>, pickle: Vec<u8>, says: &'static str) {
        self.add(name, archive(&pickle, &[("0", &six_floats())]), says);
    }

    /// Cut at, and one byte before, the end of every structure.
    fn truncated(&mut self) {
        let pickle = Pickle::dict(&[("w", SIX)]).len();
        let header = 30 + "a/data.pkl".len();
        let second = header + pickle;
        let data = second + 30 + "a/data/0".len();
        let directory = data + 24;
        let record = directory + 46 + "a/data.pkl".len();
        let end = record + 46 + "a/data/0".len();
        let ends = [4, 30, header, second, second + 30, data, directory, record, end];
        for (file, label, ends, says) in [
            (small_zip(), "zip", &ends[..], "its end is missing"),
            (small_legacy(), "legacy", &legacy_ends(), ""),
            (small_safetensors(), "safetensors", &[12, 70, small_safetensors().len()], ""),
        ] {
            for &end in ends {
                for cut in [end - 1, end].into_iter().filter(|&cut| cut < file.len()) {
                    // Too short to be known for a zip file.
                    let says = if cut < 4 { "unknown type" } else { says };
                    self.add(format!("{label} cut at {cut}"), file[..cut].to_vec(), says);
                }
            }
        }
        self.add("nothing", Vec::new(), "an empty file");
        self.add("a web page", b"<!DOCTYPE html><html>".to_vec(), "an HTML page");
    }

    /// Lengths and counts far beyond the file.
    fn lengths(&mut self) {
        let operations: [&[u8]; 8] =
            [b"X", b"T", b"B", b"\x8b", b"\x8d", b"\x8e", b"\x96", b"\x95"];
        for operation in operations {
            let pickle = Pickle::new().raw(operation).raw(&[0xff; 8]).0;
            self.pickle(format!("length of {:#x}", operation[0]), pickle, "are left");
        }
        let huge = Tensor { numel: i64::MAX, view: Some(b"N"), ..SIX };
        let object = Pickle::dict(&[("w", huge)]);
        let file = legacy(&object, &[("0", i64::MAX as u64, &six_floats())]);
        self.add("legacy storage of 2^63 elements", file, "overflow");
        let file = legacy(&object, &[("0", u64::MAX, &six_floats())]);
        self.add("legacy storage of 2^64 elements", file, "the pickle says");
        let mut claim = entries();
        (claim[1].size, claim[1].compressed) = (u32::MAX - 1, u32::MAX - 1);
        self.add("entry of 4 GiB", zip(&claim), "are left");
    }

    /// Little files that ask for much.
    fn bombs(&mut self) {
        let laughs = Pickle::new().raw(b")q\0").repeat(b"0h\0h\0\x86q\0", 500).stop(b"");
        self.pickle("billion laughs", laughs, "holds a tuple");
        let cycle = Pickle::new().raw(b"}q\0").text("model").raw(b"h\0s").text("x").stop(b"h\0s");
        self.pickle("dictionary in itself", cycle, "model (a dictionary)");
        let deep = Pickle::new().repeat(b"]", 800_000).repeat(b"a", 799_999).stop(b"");
        self.pickle("800000 lists deep", deep, "holds a list");
        self.pickle("marks", Pickle::new().repeat(b"(", 1_000_000).0, "depth");
        self.pickle("values", Pickle::new().repeat(b"}", 2_000_000).0, "objects");
        let references = Pickle::new().raw(b"}q\0").repeat(b"h\0", 2_000_000).0;
        self.pickle("references", references, "objects");
        let memo = (0..300_000_u32)
            .fold(Pickle::new().raw(b"N"), |p, key| p.raw(b"r").raw(&key.to_le_bytes()));
        self.pickle("memo", memo.0, "memo");
        let frames = Pickle::new().repeat(b"\x95\0\0\0\0\0\0\0\0", 100_000).0;
        self.pickle("endless frames", frames, "next operation");
        let names =
            (0..70_000_u32).fold(Pickle::new().raw(b"}").tensor(&SIX).raw(b"q\x07"), |p, n| {
                let p = if n == 0 { p.raw(b"0") } else { p };
                p.text(&format!("{n:05}")).raw(b"h\x07s")
            });
        self.pickle("70000 tensors", names.stop(b""), "tensors");
        let wide = Tensor { numel: 6, shape: &[1 << 20, 1 << 10], strides: &[0, 0], ..SIX };
        self.pickle("4 GiB of 24 bytes", Pickle::dict(&[("w", wide)]), "expansion_ratio");

        let zeros = |log: u32| {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::copy(&mut std::io::repeat(0).take(1 << log), &mut encoder).unwrap();
            encoder.flush().unwrap();
            let data = encoder.finish().unwrap();
            let (size, compressed) = (1 << log, data.len() as u32);
            Entry { data, size, compressed, method: 8, ..Entry::stored("a/data/0", b"") }
        };
        let floats = Tensor { numel: 1 << 26, shape: &[1], strides: &[1], ..SIX };
        let pickle = Entry::stored("a/data.pkl", &Pickle::dict(&[("w", floats)]));
        let bomb = zip(&[pickle.clone(), zeros(28)]);
        self.add("zip bomb", bomb, "expansion_ratio");
        let bomb = Entry { name: b"a/data.pkl".into(), ..zeros(27) };
        self.add("pickle bomb", zip(&[bomb]), "pickle_bytes");
        let six = Entry::stored("a/data.pkl", &Pickle::dict(&[("w", SIX)]));
        let liar = Entry { size: 24, ..zeros(28) };
        self.add("bomb that claims 24 bytes", zip(&[six, liar]), "not the recorded 24 bytes");
    }

    /// Zip files that contradict themselves.
    fn directories(&mut self) {
        let file = small_zip();
        let end = file.len() - 22;
        let mut with = |name: &str, at: usize, bytes: &[u8], says| {
            let mut file = file.clone();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            self.add(name, file, says);
        };
        with("directory of 65278 entries", end + 8, &[0xfe; 4], "cannot hold");
        with("directory of 1 entry", end + 8, &[1, 0, 1, 0], "belong to no entry");
        with("directory elsewhere", end + 16, &[7, 0, 0, 0], "does not end at");
        with("directory beyond the file", end + 16, &[0xf0; 4], "does not end at");
        with("two volumes", end + 4, &[1], "several files");
        let mut with = |name: &str, change: &dyn Fn(&mut Entry), says| {
            let mut entries = entries();
            change(&mut entries[1]);
            self.add(name, zip(&entries), says);
        };
        with("offset of another entry", &|e| e.offset = Some(0), "differs from the directory");
        with("offset of no entry", &|e| e.offset = Some(3), "no header");
        with("offset outside", &|e| e.offset = Some(u32::MAX - 1), "behind the directory");
        with("encrypted", &|e| e.flags = 1, "encrypted");
        with("unknown method", &|e| e.method = 93, "method 93");
        with("wrong checksum", &|e| e.crc ^= 1, "checksum");
        with("shorter storage", &|e| (e.size, e.compressed) = (20, 20), "do not fit");
        let inner = zip(&[Entry::stored("a/data/0", &six_floats())]);
        let mut shared = Entry::stored("a/data/0", &six_floats());
        shared.offset = Some(30 + 3);
        let pickle = Entry::stored("a/data.pkl", &Pickle::dict(&[("w", SIX)]));
        let overlapping = zip(&[Entry::stored("a/x", &inner), shared, pickle]);
        self.add("overlapping entries", overlapping, "share bytes");
    }

    /// Tensors that do not fit.
    fn tensors(&mut self) {
        let mut with = |name: &str, tensor: Tensor, says| {
            self.pickle(name, Pickle::dict(&[("w", tensor)]), says);
        };
        with("negative strides", Tensor { strides: &[-3, -1], ..SIX }, "strides");
        with("negative offset", Tensor { offset: -1, ..SIX }, "offset");
        with("negative shape", Tensor { shape: &[-2, 3], ..SIX }, "shape");
        with("offset past the end", Tensor { offset: 1, ..SIX }, "reach element");
        with("strides past the end", Tensor { strides: &[1 << 40, 1], ..SIX }, "reach element");
        with("more than its storage", Tensor { shape: &[7], strides: &[1], ..SIX }, "reach");
        with("overflow", Tensor { shape: &[1 << 40, 1 << 40], ..SIX }, "overflows");
        with("storage of 2^62", Tensor { numel: 1 << 62, ..SIX }, "do not fit");
        with("storage of -1", Tensor { numel: -1, ..SIX }, "not a count");
        with("no such storage", Tensor { key: "7", ..SIX }, "no entry");
        let fp8 = Pickle::new().raw(b"}").text("w");
        let fp8 = fp8.typed_tensor(&SIX, "float8_e4m3fnuz").stop(b"s");
        self.pickle("fp8", fp8, "float8_e4m3fnuz");
    }

    /// Code.
    fn calls(&mut self) {
        let calls: [(&str, &[u8]); 8] = [
            ("GLOBAL", b"cos\nsystem\n"),
            ("STACK_GLOBAL", b"X\x02\0\0\0osX\x06\0\0\0system\x93X\x02\0\0\0id\x85R"),
            ("REDUCE", b"cos\nsystem\nX\x02\0\0\0id\x85R"),
            ("NEWOBJ", b"cos\nsystem\nX\x02\0\0\0id\x85\x81"),
            ("NEWOBJ_EX", b"cos\nsystem\nX\x02\0\0\0id\x85}\x92"),
            ("BUILD", b"cos\nsystem\n)R}b"),
            ("INST", b"(X\x02\0\0\0idios\nsystem\n"),
            ("OBJ", b"(cos\nsystem\nX\x02\0\0\0ido"),
        ];
        for (name, call) in calls {
            let pickle = Pickle::new().raw(b"}").text("x").raw(call).raw(b"s").text("w");
            let pickle = pickle.tensor(&SIX).stop(b"s");
            self.pickle(format!("os.system by {name}"), pickle.clone(), "\"os\".\"system\"");
            if name == "REDUCE" {
                let file = legacy(&pickle, &[("0", 6, &six_floats())]);
                self.add("os.system in a legacy file", file, "\"os\".\"system\"");
            }
        }
        for (module, name) in [
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("subprocess", "Popen"),
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes"),
            ("torch.serialization", "load"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("runpy", "_run_code"),
        ] {
            let pickle = Pickle::new().raw(b"}").text("w").global(module, name).stop(b")Rs");
            self.pickle(format!("{module}.{name}"), pickle, "nothing was executed");
        }
        // What is on the list, used for something else.
        let rebuilt =
            Pickle::new().raw(b"}").text("w").global("torch._utils", "_rebuild_parameter");
        let eval = rebuilt.global("torch._utils", "_rebuild_tensor_v2").stop(b"\x85Rs");
        self.pickle("rebuilding a function", eval, "something other than one tensor");
    }

    /// Names that clash, or that should go nowhere.
    fn names(&mut self) {
        for (label, names, says) in [
            ("twice the same name", &["w", "w"][..], "twice"),
            ("twice without its prefix", &["w", "module.w"], "twice"),
            ("a relative path", &["../../../tmp/w"], "a path"),
            ("an absolute path", &["/etc/passwd"], "a path"),
            ("a path of Windows", &["..\\..\\w"], "a path"),
            ("a line break", &["w\nerror: none"], "control characters"),
            ("a terminal's command", &["w\x1b[2J"], "control characters"),
            ("a turned name", &["w\u{202e}gnp"], "control characters"),
            ("the metadata's name", &["__metadata__"], "reserved"),
        ] {
            let tensors: Vec<(&str, Tensor)> = names.iter().map(|name| (*name, SIX)).collect();
            self.pickle(label, Pickle::dict(&tensors), says);
        }
        self.pickle("a long name", Pickle::dict(&[(&"w".repeat(2000), SIX)]), "1024 bytes");
        let latin = Pickle::new().raw(b"}X\x01\0\0\0\xe9").tensor(&SIX).stop(b"s");
        self.pickle("a name that is not UTF-8", latin, "not UTF-8");
        let outside = Tensor { key: "../../../etc/passwd", ..SIX };
        self.pickle("a storage outside", Pickle::dict(&[("w", outside)]), "no entry");

        let renamed = |root: &str| {
            let pickle = Pickle::dict(&[("w", SIX)]);
            let entry = |name: &str, data: &[u8]| Entry::stored(&format!("{root}/{name}"), data);
            zip(&[entry("data.pkl", &pickle), entry("data/0", &six_floats())])
        };
        self.add("a root above", renamed(".."), "no folder");
        self.add("a root far above", renamed("../../x"), "no folder");
        let mut repeated = entries();
        repeated.push(repeated[1].clone());
        self.add("an entry twice", zip(&repeated), "twice");
        let mut latin = entries();
        latin[1].name = b"a/data/\xe9".into();
        self.add("an entry that is not UTF-8", zip(&latin), "not UTF-8");
    }

    /// The same for safetensors.
    fn safetensors(&mut self) {
        let tensor = |dtype: &str, shape: &str, start: u64, end: u64| {
            format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
        };
        let six = tensor("F32", "[2,3]", 0, 24);
        let mut with = |name: &str, header: String, says| {
            self.add(format!("safetensors: {name}"), safetensors(&header, &six_floats()), says);
        };
        with("name twice", format!(r#"{{"w":{six},"w":{six}}}"#), "twice");
        with("reserved name", format!(r#"{{"__metadata__":{six}}}"#), "not sound");
        with("path", format!(r#"{{"../w":{six}}}"#), "a path");
        with("terminal's command", format!(r#"{{"\u001b[2J":{six}}}"#), "control characters");
        with("gap", format!(r#"{{"w":{}}}"#, tensor("F32", "[5]", 4, 24)), "not sound");
        with("end first", format!(r#"{{"w":{}}}"#, tensor("F32", "[6]", 24, 0)), "not sound");
        with("too short", format!(r#"{{"w":{}}}"#, tensor("F32", "[5]", 0, 24)), "not sound");
        with("too long", format!(r#"{{"w":{}}}"#, tensor("F32", "[7]", 0, 28)), "not sound");
        let overflow = tensor("F32", "[4294967296,4294967296,4294967296]", 0, 24);
        with("overflow", format!(r#"{{"w":{overflow}}}"#), "not sound");
        let overlap = format!(r#"{{"v":{six},"w":{}}}"#, tensor("F32", "[3]", 12, 24));
        with("overlap", overlap, "not sound");
        with("fp8", format!(r#"{{"w":{}}}"#, tensor("F8_E8M0", "[24]", 0, 24)), "F8_E8M0");
        with("unknown type", format!(r#"{{"w":{}}}"#, tensor("Q4_K", "[24]", 0, 24)), "Q4_K");
        with("text twice", format!(r#"{{"__metadata__":{{"a":"1","a":"2"}},"w":{six}}}"#), "twice");
        with("a line more", format!(r#"{{"w":{}}}"#, six.replace("}", r#","x":1}"#)), "not sound");
        with(
            "bytes after the last tensor",
            format!(r#"{{"w":{}}}"#, tensor("F32", "[5]", 0, 20)),
            "4 bytes follow",
        );
        with("something after the header", format!(r#"{{"w":{six}}} x"#), "not sound");
        with("numbers as metadata", format!(r#"{{"__metadata__":{{"a":1}},"w":{six}}}"#), "not");
        with("depth", format!(r#"{{"w":{}"#, "[".repeat(1 << 20)), "not sound");
        let shape = format!("[{}]", vec!["1"; 100_000].join(","));
        with(
            "100000 dimensions",
            format!(r#"{{"w":{}}}"#, tensor("U8", &shape, 0, 1)),
            "not sound",
        );
        with("nothing", "{}".into(), "not sound");
        for (name, length) in [("2^64", u64::MAX), ("2^40", 1 << 40), ("1 more", 25)] {
            let mut file = safetensors(&format!(r#"{{"w":{six}}}"#), b"");
            let length = if length == 25 { file.len() as u64 - 7 } else { length };
            file[..8].copy_from_slice(&length.to_le_bytes());
            self.add(format!("safetensors: header of {name}"), file, "");
        }
        let long = format!(r#"{{"w":{six}{}}}"#, " ".repeat(1 << 24));
        self.add(
            "safetensors: header of 16 MiB",
            safetensors(&long, &six_floats()),
            "header_bytes",
        );
        let latin = [&80_u64.to_le_bytes()[..], b"{\"\xe9\":1", &[b' '; 73], b"}"].concat();
        self.add("safetensors: not UTF-8", latin, "not sound");
    }
}

/// The sound file as entries, to be changed.
fn entries() -> Vec<Entry> {
    let pickle = Pickle::dict(&[("w", SIX)]);
    vec![Entry::stored("a/data.pkl", &pickle), Entry::stored("a/data/0", &six_floats())]
}

/// Where the parts of [`small_legacy`] end.
fn legacy_ends() -> Vec<usize> {
    let six = Tensor { view: Some(b"N"), ..SIX };
    let object = Pickle::dict(&[("w", six)]).len();
    let storages = legacy_storages(&[("0", 6, &six_floats())]).len();
    let lengths = [MAGIC.len(), VERSION.len(), system(true).len(), object, storages - 32, 8, 24];
    let ends = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    ends.collect()
}
