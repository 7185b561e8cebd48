//! PyTorch's zip format: `<root>/data.pkl` and one entry `<root>/data/<key>` per storage.

use std::collections::HashMap;

use crate::{
    blob::Blob,
    error::{Error, Place, Result, short},
    options::Options,
    torch::Storage,
    zip::Zip,
};

/// A zip checkpoint; storages are read when a tensor needs them, each once.
pub(crate) struct Archive {
    zip: Zip,
    root: String,
    big_endian: bool,
    loaded: HashMap<String, Blob>,
}

impl Archive {
    /// Where the pickle's offsets count from, for messages.
    pub const PICKLE: Place = Place { stream: "data.pkl", offset: 0 };

    /// The archive and its pickle.
    pub fn open(file: Blob, options: &Options) -> Result<(Self, Blob)> {
        let mut zip = Zip::open(file, options)?;
        let root = root(&zip)?;
        if zip.size(&format!("{root}/constants.pkl")).is_some() {
            return Err(not_torch(
                "it is a TorchScript archive: save `model.state_dict()` with torch.save",
            ));
        }
        let big_endian = big_endian(&mut zip, &format!("{root}/byteorder"))?;
        let name = format!("{root}/data.pkl");
        let (size, limit) =
            (zip.size(&name).unwrap_or_default(), options.limits.pickle_bytes as u64);
        if size > limit {
            return Err(Error::Limit {
                what: "data.pkl".into(),
                value: size,
                limit,
                option: "pickle_bytes",
            });
        }
        let pickle = zip.read(&name)?.ok_or_else(|| not_torch("it has no data.pkl"))?;
        Ok((Self { zip, root, big_endian, loaded: HashMap::new() }, pickle))
    }

    /// Whether storages hold their elements most significant byte first.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// The bytes of a storage, as many as its declaration says.
    pub fn storage(&mut self, key: &str, declared: Storage) -> Result<Blob> {
        if let Some(blob) = self.loaded.get(key) {
            return Ok(blob.clone());
        }
        let bad = |reason| Error::Storage { key: short(key), reason };
        let name = format!("{}/data/{key}", self.root);
        let size = self
            .zip
            .size(&name)
            .ok_or_else(|| bad(format!("the zip file has no entry {:?}", short(&name))))?;
        if declared.numel.checked_mul(declared.dtype.size() as u64) != Some(size) {
            return Err(bad(format!(
                "{} × {} do not fit its {size} bytes",
                declared.numel, declared.dtype
            )));
        }
        let blob =
            self.zip.read(&name)?.ok_or_else(|| bad("the zip file has no such entry".into()))?;
        self.loaded.insert(key.to_string(), blob.clone());
        Ok(blob)
    }
}

/// What the entry `name` says; little-endian where there is none, as before PyTorch 2.1.
fn big_endian(zip: &mut Zip, name: &str) -> Result<bool> {
    // Longer than either answer is neither, and is not read.
    let order = match zip.size(name) {
        None => return Ok(false),
        Some(0..=6) => zip.read(name)?,
        Some(_) => None,
    };
    match order.as_ref().map(Blob::bytes) {
        Some(b"little") => Ok(false),
        Some(b"big") => Ok(true),
        _ => Err(not_torch("its byteorder is neither \"little\" nor \"big\"")),
    }
}

/// The one folder with a `data.pkl`; its name is arbitrary.
fn root(zip: &Zip) -> Result<String> {
    let mut roots = zip
        .names()
        .filter_map(|name| name.strip_suffix("/data.pkl"))
        .filter(|root| !root.contains(['/', '\\']) && !matches!(*root, "" | "." | ".."));
    let holds = |end: &str| zip.names().any(|name| name.ends_with(end));
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.to_string()),
        (Some(_), Some(_)) => Err(not_torch("it has several folders with a data.pkl")),
        (None, _) if holds(".npy") => {
            Err(not_torch("it holds arrays of NumPy: save them as tensors with torch.save"))
        }
        (None, _) if holds("model.weights.h5") => {
            Err(not_torch("it is a Keras model: convert it with the framework that wrote it"))
        }
        (None, _) if holds("archive_format") || holds("serialized_exported_program.json") => {
            let what = "it is a program of torch.export: save `model.state_dict()` with torch.save";
            Err(not_torch(what))
        }
        (None, _) => Err(not_torch(
            "it has no folder with a data.pkl; if a checkpoint is packed in it, unpack it first",
        )),
    }
}

fn not_torch(reason: &str) -> Error {
    Error::NotATorchZip { reason: reason.into() }
}
