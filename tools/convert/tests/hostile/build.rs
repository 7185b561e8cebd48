//! Writes pickles, zip files and legacy checkpoints, sound ones and others.

use std::io::Write;

use pentimento_convert::{Checkpoint, Error, Options, from_bytes};

/// A pickle of protocol 2 that grows by one operation per call.
#[derive(Clone)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn repeat(self, bytes: &[u8], times: usize) -> Self {
        self.raw(&bytes.repeat(times))
    }

    pub fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub fn int(self, n: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&n.to_le_bytes())
    }

    pub fn ints(self, numbers: &[i64]) -> Self {
        numbers.iter().fold(self.raw(b"("), |p, &n| p.int(n)).raw(b"t")
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// The persistent reference; `view` is the sixth member that the legacy format has.
    pub fn storage(self, class: &str, key: &str, numel: i64, view: Option<&[u8]>) -> Self {
        let p = self.raw(b"(").text("storage").global("torch", class).text(key).text("cpu");
        p.int(numel).raw(view.unwrap_or_default()).raw(b"tQ")
    }

    pub fn tensor(self, t: &Tensor) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2").tensor_arguments(t).raw(b"R")
    }

    /// What `_rebuild_tensor_v2` is called with.
    pub fn tensor_arguments(self, t: &Tensor) -> Self {
        let p = self.raw(b"(").storage(t.class, t.key, t.numel, t.view).int(t.offset);
        let p = p.ints(t.shape).ints(t.strides).raw(b"\x89");
        p.global("collections", "OrderedDict").raw(b")Rt")
    }

    /// A tensor over bytes whose type is named.
    pub fn typed_tensor(self, t: &Tensor, dtype: &str) -> Self {
        let p = self.global("torch._utils", "_rebuild_tensor_v3").raw(b"((").text("storage");
        let p = p.global("torch.storage", "UntypedStorage").text(t.key).text("cpu");
        let p = p.int(t.numel).raw(b"tQ").int(t.offset).ints(t.shape).ints(t.strides);
        let p = p.raw(b"\x89").global("collections", "OrderedDict").raw(b")R");
        p.global("torch", dtype).raw(b"tR")
    }

    /// The whole checkpoint `{name: tensor, …}`.
    pub fn dict(tensors: &[(&str, Tensor)]) -> Vec<u8> {
        let p = tensors.iter().fold(Self::new().raw(b"}("), |p, (name, t)| p.text(name).tensor(t));
        p.stop(b"u")
    }

    /// The bytes, after these last operations and `STOP`.
    pub fn stop(self, last: &[u8]) -> Vec<u8> {
        self.raw(last).raw(b".").0
    }
}

/// What the pickle says about a tensor.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    pub class: &'a str,
    pub key: &'a str,
    pub numel: i64,
    pub offset: i64,
    pub shape: &'a [i64],
    pub strides: &'a [i64],
    pub view: Option<&'a [u8]>,
}

/// Six floats, as 2 × 3.
pub const SIX: Tensor = Tensor {
    class: "FloatStorage",
    key: "0",
    numel: 6,
    offset: 0,
    shape: &[2, 3],
    strides: &[3, 1],
    view: None,
};

pub fn six_floats() -> Vec<u8> {
    (1..=6).flat_map(|n| (n as f32).to_le_bytes()).collect()
}

pub fn six_floats_big_endian() -> Vec<u8> {
    (1..=6).flat_map(|n| (n as f32).to_be_bytes()).collect()
}

/// One zip entry; every field can lie.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub size: u32,
    pub compressed: u32,
    /// `None`: where the entry really is.
    pub offset: Option<u32>,
    /// Extra field of the directory's record.
    pub extra: Vec<u8>,
    /// Extra field of the local header.
    pub local_extra: Vec<u8>,
}

impl Entry {
    pub fn stored(name: &str, data: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        Self {
            name: name.into(),
            data: data.into(),
            method: 0,
            flags: 0,
            crc: crc.sum(),
            size: data.len() as u32,
            compressed: data.len() as u32,
            offset: None,
            extra: Vec::new(),
            local_extra: Vec::new(),
        }
    }

    pub fn deflated(name: &str, data: &[u8]) -> Self {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        let deflated = encoder.finish().unwrap();
        let compressed = deflated.len() as u32;
        Self { data: deflated, compressed, method: 8, ..Self::stored(name, data) }
    }

    fn local(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(0x0403_4b50_u32.to_le_bytes());
        for field in [20, self.flags, self.method, 0, 0] {
            out.extend(u16::to_le_bytes(field));
        }
        for field in [self.crc, self.compressed, self.size] {
            out.extend(field.to_le_bytes());
        }
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((self.local_extra.len() as u16).to_le_bytes());
        out.extend(&self.name);
        out.extend(&self.local_extra);
        out.extend(&self.data);
        out
    }
}

/// A zip file of these entries.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(0x0201_4b50_u32.to_le_bytes());
        for field in [20, 20, entry.flags, entry.method, 0, 0] {
            directory.extend(u16::to_le_bytes(field));
        }
        for field in [entry.crc, entry.compressed, entry.size] {
            directory.extend(field.to_le_bytes());
        }
        for field in [entry.name.len(), entry.extra.len(), 0, 0, 0, 0, 0] {
            directory.extend((field as u16).to_le_bytes());
        }
        directory.extend(entry.offset.unwrap_or(out.len() as u32).to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
        out.extend(entry.local());
    }
    let (at, length) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(0x0605_4b50_u32.to_le_bytes());
    for field in [0, 0, entries.len(), entries.len()] {
        out.extend((field as u16).to_le_bytes());
    }
    out.extend(length.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A zip checkpoint of a pickle and its storages.
pub fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut entries = vec![Entry::stored("a/data.pkl", pickle)];
    entries
        .extend(storages.iter().map(|(key, data)| Entry::stored(&format!("a/data/{key}"), data)));
    zip(&entries)
}

/// A sound zip checkpoint: `{"w": [[1, 2, 3], [4, 5, 6]]}`.
pub fn small_zip() -> Vec<u8> {
    archive(&Pickle::dict(&[("w", SIX)]), &[("0", &six_floats())])
}

/// A safetensors file of this header, whatever it says.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A sound safetensors file: `{"w": [[1, 2, 3], [4, 5, 6]]}`.
pub fn small_safetensors() -> Vec<u8> {
    let header =
        r#"{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
    safetensors(header, &six_floats())
}

pub const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
pub const VERSION: &[u8] = b"\x80\x02M\xe9\x03.";

pub fn system(little_endian: bool) -> Vec<u8> {
    let truth: &[u8] = if little_endian { b"\x88" } else { b"\x89" };
    Pickle::new().raw(b"}").text("little_endian").raw(truth).stop(b"s")
}

/// Keys, counts and bytes, as they follow the object.
pub fn legacy_storages(storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let keys = storages.iter().fold(Pickle::new().raw(b"]("), |p, (key, ..)| p.text(key));
    let mut out = keys.stop(b"e");
    for (_, count, data) in storages {
        out.extend(count.to_le_bytes());
        out.extend(*data);
    }
    out
}

pub fn legacy(pickle: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    [MAGIC, VERSION, &system(true), pickle, &legacy_storages(storages)].concat()
}

/// A sound legacy checkpoint: `{"w": [[1, 2, 3], [4, 5, 6]]}`.
pub fn small_legacy() -> Vec<u8> {
    let six = Tensor { view: Some(b"N"), ..SIX };
    legacy(&Pickle::dict(&[("w", six)]), &[("0", 6, &six_floats())])
}

/// Reads a file with the defaults, and fails the test if that takes long.
pub fn read(file: &[u8]) -> Result<Checkpoint, Error> {
    read_with(file, &Options::default())
}

/// As [`read`], with other options.
pub fn read_with(file: &[u8], options: &Options) -> Result<Checkpoint, Error> {
    let start = std::time::Instant::now();
    let result = from_bytes(file.to_vec(), options);
    // Milliseconds on a quiet machine; the bound leaves room for a busy one.
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    result
}

/// The message of the error that reading a file gives.
#[track_caller]
pub fn refused(file: &[u8]) -> String {
    read(file).expect_err("the file was read").to_string()
}

pub fn skipping() -> Options {
    Options { skip_unknown: true, ..Options::default() }
}
