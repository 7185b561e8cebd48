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
        let order = format!("{root}/byteorder");
        match zip.size(&order) {
            None => {}
            // "little" is 6 bytes; nothing longer than "big" has to be read.
            Some(6) if zip.read(&order)?.is_some_and(|b| b.bytes() == b"little") => {}
            Some(_) => return Err(Error::BigEndian),
        }
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
        Ok((Self { zip, root, loaded: HashMap::new() }, pickle))
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

/// The one folder with a `data.pkl`; its name is arbitrary.
fn root(zip: &Zip) -> Result<String> {
    let mut roots = zip
        .names()
        .filter_map(|name| name.strip_suffix("/data.pkl"))
        .filter(|root| !root.contains('/'));
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.to_string()),
        (Some(_), Some(_)) => Err(not_torch("it has several folders with a data.pkl")),
        (None, _) => Err(not_torch(
            "it has no folder with a data.pkl; if a checkpoint is packed in it, unpack it first",
        )),
    }
}

fn not_torch(reason: &str) -> Error {
    Error::NotATorchZip { reason: reason.into() }
}
