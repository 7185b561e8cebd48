//! What a checkpoint holds, known without reading the tensors' data.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use crate::{
    Format,
    archive::Archive,
    blob::Blob,
    detect::{DETECT_BYTES, Kind, detect},
    dtype::Dtype,
    error::{self, Error, Place, Result},
    legacy::Legacy,
    names,
    options::Options,
    pickle::{self, Pickle},
    roles::{self, Rank},
    safetensors::{self, Parts},
    state_dict,
    tensor::{Layout, Tensor},
    torch::{self, Storage, TensorDecl},
};

/// What a checkpoint holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// How the file is laid out.
    pub format: Format,
    /// Where the weights were found: entries that lie in each other, such as `params_ema` or
    /// `model/ema`, or with a dot at the end what the names of one of several networks begin with,
    /// such as `state_dict/generator_ema.`; `None` if they lie at the top.
    pub container: Option<String>,
    /// Every place of the file that holds tensors, the preferred first; "" is the top. More than
    /// one means that [`Options::key`] would give other weights.
    pub candidates: Vec<String>,
    /// What was removed from the start of the tensors' names, such as `module.`, in this order.
    pub stripped: Vec<String>,
    /// What was left out: optimizer state, counters, other networks' weights, each with its type.
    pub dropped: Vec<String>,
    /// The metadata of a safetensors file; of a pickle, the numbers that tell two networks apart.
    pub metadata: BTreeMap<String, String>,
    /// The tensors, in the order of the file. Names are unique.
    pub tensors: Vec<Entry>,
}

/// A tensor as the checkpoint declares it; its layout was checked against the declared storage.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name in the state dict, prefixes removed.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    layout: Layout,
    /// Key of the storage.
    key: String,
    declared: Storage,
}

impl Entry {
    pub(crate) fn new(name: String, dtype: Dtype, layout: Layout, key: String) -> Self {
        let declared = Storage { dtype, numel: layout.numel() as u64 };
        Self { name, dtype, layout, key, declared }
    }

    /// Extent of each dimension, slowest first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.layout.numel()
    }
}

/// The data of a checkpoint, read and verified when a tensor needs them.
pub(crate) enum Data {
    Zip(Archive),
    Legacy(Legacy),
    Safetensors(Parts),
    /// Tensors of a network that was recognised by its structure.
    Mapped(HashMap<String, Blob>),
}

impl Data {
    /// The tensor of an entry of the [`Contents`] that came with this.
    pub fn tensor(&mut self, entry: &Entry) -> Result<Tensor> {
        let Entry { name, dtype, layout, key, declared } = entry;
        let (storage, big_endian) = match self {
            Self::Zip(archive) => (archive.storage(key, *declared)?, archive.is_big_endian()),
            Self::Legacy(legacy) => (legacy.storage(key)?, false),
            Self::Safetensors(parts) => (parts.storage(key)?, false),
            Self::Mapped(tensors) => {
                let missing =
                    || Error::Storage { key: error::short(key), reason: "is missing".into() };
                (tensors.get(key).cloned().ok_or_else(missing)?, false)
            }
        };
        let outside = || Error::Tensor {
            name: error::short(name),
            reason: "it reaches past its storage".into(),
        };
        Tensor::new(name.clone(), *dtype, layout.clone(), storage, big_endian).ok_or_else(outside)
    }
}

impl Contents {
    /// Takes the tensors of one network where those of several lie side by side, and shortens names.
    /// Returns which tensors stay, by their place before.
    pub(crate) fn settle(&mut self, place: &str, options: &Options) -> Result<Vec<usize>> {
        let dims: Vec<(&str, usize)> =
            self.tensors.iter().map(|entry| (entry.name.as_str(), entry.shape().len())).collect();
        let mut groups: Vec<(Rank, String)> = names::groups(&dims)
            .iter()
            .map(|group| (roles::rank(&[group.name], group.weights), format!("{}.", group.name)))
            .collect();
        groups.sort_by_key(|(rank, _)| *rank);
        self.candidates = groups.into_iter().map(|(_, name)| name).collect();
        if self.candidates.is_empty() {
            self.candidates.push(String::new());
        }
        let chosen = match &options.key {
            None => self.candidates.first(),
            Some(key) => {
                let named = |name: &&String| *name == key || name.strip_suffix('.') == Some(key);
                self.candidates.iter().find(named)
            }
        };
        let Some(chosen) = chosen.cloned() else {
            let key = error::short(options.key.as_deref().unwrap_or_default());
            let candidates = self.candidates.iter().map(|name| error::short(name)).collect();
            return Err(Error::NoSuchContainer { key, candidates });
        };
        let group = chosen.strip_suffix('.');
        let mut found: Vec<Cow<'_, str>> = Vec::new();
        let mut kept = Vec::new();
        for (index, entry) in self.tensors.iter().enumerate() {
            match names::in_group(&entry.name, group) {
                Some(name) => {
                    found.push(name.into());
                    kept.push(index);
                }
                None => self.dropped.push(format!("{} (a tensor)", error::short(&entry.name))),
            }
        }
        if group.is_some() {
            let all: Vec<&str> = self.tensors.iter().map(|entry| entry.name.as_str()).collect();
            names::with_dots(&mut found, &all);
        }
        self.stripped = names::strip(&mut found);
        names::check(&found, place, options)?;
        let found: Vec<String> = found.into_iter().map(Cow::into_owned).collect();
        let mut stay = kept.iter().zip(found).peekable();
        let mut place = 0..;
        self.tensors.retain_mut(|entry| {
            let place = place.next();
            match stay.next_if(|(kept, _)| Some(**kept) == place) {
                Some((_, name)) => {
                    entry.name = name;
                    true
                }
                None => false,
            }
        });
        self.container = Some(chosen).filter(|name| !name.is_empty());
        Ok(kept)
    }
}

/// Reads what the checkpoint in `file` holds; `part`: it is one of several files, whose tensors are
/// wanted under the names that they have there.
pub(crate) fn read(file: &Blob, options: &Options, part: bool) -> Result<(Contents, Data)> {
    let bytes = file.bytes();
    match detect(bytes.get(..DETECT_BYTES).unwrap_or(bytes)) {
        Kind::Zip => {
            let (archive, data) = Archive::open(file.clone(), options)?;
            let pickle = pickle::read(data.bytes(), Archive::PICKLE, options)?;
            if pickle.length != data.len() {
                let at = Place { offset: pickle.length as u64, ..Archive::PICKLE };
                return Err(Error::Pickle { at, reason: "something follows its end".into() });
            }
            torch::storages(&pickle)?;
            let contents = weights(Format::Zip, &pickle, file.len(), options, part)?;
            Ok((contents, Data::Zip(archive)))
        }
        Kind::Legacy => {
            let (legacy, pickle) = Legacy::read(file, bytes, options)?;
            let contents = weights(Format::Legacy, &pickle, file.len(), options, part)?;
            Ok((contents, Data::Legacy(legacy)))
        }
        Kind::Safetensors => {
            let (mut contents, parts) = safetensors::read(file, options)?;
            if !part {
                contents.settle("the header", options)?;
            }
            Ok((contents, Data::Safetensors(parts)))
        }
        kind => Err(Error::NotACheckpoint { kind }),
    }
}

/// Chooses the weights of a checkpoint of PyTorch and reads their declarations.
fn weights(
    format: Format,
    pickle: &Pickle<'_>,
    file_bytes: usize,
    options: &Options,
    part: bool,
) -> Result<Contents> {
    let chosen = state_dict::select(&pickle.values, pickle.root, options, part)?;
    let limit = options.limits.expansion(file_bytes);
    let mut total = 0_u64;
    let mut tensors = Vec::new();
    for (name, id) in chosen.entries {
        let Some(TensorDecl { key, storage, dtype, layout }) =
            TensorDecl::read(&pickle.values, &name, id)?
        else {
            continue;
        };
        total = total.saturating_add((layout.numel() as u64).saturating_mul(dtype.size() as u64));
        if total > limit {
            let what = format!("the tensors up to {:?}", error::short(&name));
            return Err(Error::Limit { what, value: total, limit, option: "expansion_ratio" });
        }
        tensors.push(Entry { name, dtype, layout, key: key.to_string(), declared: storage });
    }
    Ok(Contents {
        format,
        container: chosen.container,
        candidates: chosen.candidates,
        stripped: chosen.stripped,
        dropped: chosen.dropped,
        metadata: chosen.marks,
        tensors,
    })
}
