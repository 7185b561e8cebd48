//! One checkpoint, in one file or in the shards of a folder.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    blob::Blob,
    contents::{self, Contents, Data},
    error::{Error, Result, short},
    foreign::{self, Opened},
    options::Options,
    tensor::Tensor,
};

/// How the index of a checkpoint in several files is called, and those files.
const INDICES: [(&str, &str); 2] =
    [(".safetensors.index.json", ".safetensors"), (".bin.index.json", ".bin")];

/// A checkpoint whose contents are known and whose data are read tensor by tensor.
pub struct Source {
    contents: Contents,
    shards: Vec<Shard>,
    /// The shard of each tensor of `contents`.
    places: Vec<usize>,
}

struct Shard {
    path: PathBuf,
    file: Blob,
    data: Data,
}

impl Shard {
    fn open(path: &Path, options: &Options) -> Result<(Contents, Self)> {
        let file = Blob::open(path, options.memory_map)?;
        // The key is looked for when the tensors of all files are known.
        let options = Options { key: None, ..options.clone() };
        let (contents, data) = contents::read(&file, &options, true)?;
        Ok((contents, Self { path: path.into(), file, data }))
    }
}

impl Source {
    /// Opens a file, the index of a checkpoint in several files (`*.safetensors.index.json` or
    /// `*.bin.index.json`), or a folder with those files: the ones that its index names, or every
    /// `*.safetensors` file where there is none.
    ///
    /// # Errors
    /// As [`crate::open`], except that data are verified when they are read; [`Error::Shards`] and
    /// [`Error::Shard`] for a folder.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        if path.is_dir() {
            return Self::shards(path, shards(path, options)?, options);
        }
        if is_index(path) {
            let folder = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            return Self::shards(folder, listed(folder, path, options)?, options);
        }
        Self::single(path, Blob::open(path, options.memory_map)?, options)
    }

    /// The checkpoint in bytes of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_shared(
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        options: &Options,
    ) -> Result<Self> {
        // Without a file there is nothing to map, and nowhere to inflate to.
        let options = Options { memory_map: false, ..options.clone() };
        Self::single(Path::new(""), Blob::shared(bytes), &options)
    }

    fn single(path: &Path, file: Blob, options: &Options) -> Result<Self> {
        // In memory there is nothing beside it.
        let place = Some(path).filter(|path| !path.as_os_str().is_empty());
        if let Some(opened) = foreign::open(place, &file, options)? {
            let Opened { contents, data, beside } = opened;
            let places = vec![0; contents.tensors.len()];
            let mut shards = vec![Shard { path: path.into(), file, data }];
            shards.extend(beside.into_iter().map(|(path, file)| {
                // What it holds is given out with the first file.
                Shard { path, file, data: Data::Mapped(HashMap::new()) }
            }));
            return Ok(Self { contents, shards, places });
        }
        let (contents, data) = contents::read(&file, options, false)?;
        let places = vec![0; contents.tensors.len()];
        Ok(Self { contents, places, shards: vec![Shard { path: path.into(), file, data }] })
    }

    /// The files of a folder, and the names that its index lists.
    fn shards(
        folder: &Path,
        (files, listed): (BTreeSet<PathBuf>, Vec<String>),
        options: &Options,
    ) -> Result<Self> {
        let mut source: Option<Self> = None;
        for file in files {
            let wrong = |error| Error::Shard { path: file.clone(), error: Box::new(error) };
            let (contents, shard) = Shard::open(&file, options).map_err(wrong)?;
            match &mut source {
                None => {
                    let places = vec![0; contents.tensors.len()];
                    source = Some(Self { contents, shards: vec![shard], places });
                }
                Some(source) => source.add(contents, shard),
            }
        }
        let mut source = source
            .ok_or_else(|| unsound(folder, "it holds no .safetensors file and no index".into()))?;
        if let Some(missing) = missing(&listed, &source.contents) {
            let reason = format!("its index lists {missing:?}, which is in none of its files");
            return Err(unsound(folder, reason));
        }
        source.settle(options)?;
        Ok(source)
    }

    /// What the checkpoint holds. The metadata are those on which all shards agree.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The files that it lies in, sorted.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// The bytes of these files.
    pub(crate) fn bytes(&self) -> Vec<Blob> {
        self.shards.iter().map(|shard| shard.file.clone()).collect()
    }

    /// The tensor at `index` of [`Contents::tensors`].
    ///
    /// # Errors
    /// When its data are damaged, or there is no such tensor.
    pub fn tensor(&mut self, index: usize) -> Result<Tensor> {
        let entry = self.contents.tensors.get(index);
        let shard = self.places.get(index).and_then(|&place| self.shards.get_mut(place));
        match (entry, shard) {
            (Some(entry), Some(shard)) => shard.data.tensor(entry),
            _ => Err(Error::Tensor {
                name: index.to_string(),
                reason: format!("the checkpoint has {} tensors", self.places.len()),
            }),
        }
    }

    /// Leaves out the tensors whose names `drops` says so of; they are listed as dropped.
    pub fn leave_out(&mut self, drops: impl Fn(&str) -> bool) {
        let Self { contents: Contents { tensors, dropped, .. }, places, .. } = self;
        let out: Vec<bool> = tensors.iter().map(|entry| drops(&entry.name)).collect();
        let mut flags = out.iter();
        places.retain(|_| flags.next() != Some(&true));
        let mut flags = out.iter();
        tensors.retain(|entry| {
            let out = flags.next() == Some(&true);
            if out {
                dropped.push(format!("{} (a tensor, as you say)", short(&entry.name)));
            }
            !out
        });
    }

    fn add(&mut self, contents: Contents, shard: Shard) {
        self.places.resize(self.places.len() + contents.tensors.len(), self.shards.len());
        self.shards.push(shard);
        self.contents.tensors.extend(contents.tensors);
        self.contents.dropped.extend(contents.dropped);
        self.contents.metadata.retain(|key, value| contents.metadata.get(key) == Some(value));
    }

    /// Chooses the network and shortens names, once all of them are known.
    fn settle(&mut self, options: &Options) -> Result<()> {
        let kept = self.contents.settle("the folder", options)?;
        self.places = kept.iter().filter_map(|&index| self.places.get(index).copied()).collect();
        Ok(())
    }
}

/// Whether the file is the index of a checkpoint in several files.
fn is_index(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    INDICES.iter().any(|(index, _)| name.ends_with(index))
}

/// Files of a sharded checkpoint, sorted, and the names that its index lists.
fn shards(folder: &Path, options: &Options) -> Result<(BTreeSet<PathBuf>, Vec<String>)> {
    let io = |source| Error::Io { path: folder.into(), source };
    let mut files = BTreeSet::new();
    let mut indices = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if is_index(&path) {
            indices.push(path);
        } else if name.ends_with(".safetensors") && !name.starts_with('.') {
            files.insert(path);
        }
    }
    match indices.as_slice() {
        [] => Ok((files, Vec::new())),
        [index] => listed(folder, index, options),
        _ => Err(unsound(folder, "it holds several indices: name one of them".into())),
    }
}

/// The files and the names that an index lists.
fn listed(
    folder: &Path,
    index: &Path,
    options: &Options,
) -> Result<(BTreeSet<PathBuf>, Vec<String>)> {
    let name = index.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let ends = INDICES.iter().find(|(index, _)| name.ends_with(index)).map_or("", |(_, end)| end);
    let index = read_index(index, options)?;
    let mut files = BTreeSet::new();
    for file in index.values() {
        // Plain names only: an index cannot lead out of its folder.
        let plain = !file.contains(['/', '\\']) && file.ends_with(ends) && !file.starts_with('.');
        let path = folder.join(file);
        if !plain || !path.is_file() {
            let reason = format!("its index names {:?}, which is not in it", short(file));
            return Err(unsound(folder, reason));
        }
        files.insert(path);
    }
    Ok((files, index.into_keys().collect()))
}

/// The index's map from tensors to files.
fn read_index(path: &Path, options: &Options) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let io = |source| Error::Io { path: path.into(), source };
    let there = std::fs::metadata(path).map_err(io)?;
    if !there.is_file() {
        return Err(io(std::io::Error::other("it is not a file")));
    }
    let (value, limit) = (there.len(), options.limits.header_bytes as u64);
    if value > limit {
        let what = path.display().to_string();
        return Err(Error::Limit { what, value, limit, option: "header_bytes" });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| unsound(path, format!("its index is not sound: {}", short(&e.to_string()))))?;
    Ok(index.weight_map)
}

/// A name of the index that no shard has.
fn missing<'n>(listed: &'n [String], contents: &Contents) -> Option<&'n str> {
    let found: HashSet<&str> = contents.tensors.iter().map(|t| t.name.as_str()).collect();
    listed.iter().map(String::as_str).find(|name| !found.contains(name))
}

fn unsound(folder: &Path, reason: String) -> Error {
    Error::Shards { path: folder.into(), reason }
}
