//! One checkpoint, in one file or in the shards of a folder.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{
    blob::Blob,
    contents::{self, Contents, Data},
    error::{Error, Result, short},
    foreign::{self, Opened},
    names,
    options::Options,
    tensor::Tensor,
};

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
        let (contents, data) = contents::read(&file, options)?;
        Ok((contents, Self { path: path.into(), file, data }))
    }
}

impl Source {
    /// Opens a file, or a folder with the shards of one safetensors checkpoint: those that its index
    /// (`*.safetensors.index.json`) names, or every `*.safetensors` file where there is none.
    ///
    /// # Errors
    /// As [`crate::open`], except that data are verified when they are read; [`Error::Shards`] and
    /// [`Error::Shard`] for a folder.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        if !path.is_dir() {
            if let Some(source) = Self::foreign(path, options)? {
                return Ok(source);
            }
            let (contents, shard) = Shard::open(path, options)?;
            let places = vec![0; contents.tensors.len()];
            return Ok(Self { contents, shards: vec![shard], places });
        }
        let (files, listed) = shards(path, options)?;
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
        let source = source.ok_or_else(|| unsound(path, "it holds no .safetensors file".into()))?;
        let found: Vec<&str> = source.contents.tensors.iter().map(|t| t.name.as_str()).collect();
        names::check(&found, "the folder", options)?;
        if let Some(missing) = missing(&listed, &source.contents) {
            let reason = format!("its index lists {missing:?}, which is in none of its files");
            return Err(unsound(path, reason));
        }
        Ok(source)
    }

    /// The network of another framework's file, whose other files count as shards; `None` for a file
    /// that is not one.
    fn foreign(path: &Path, options: &Options) -> Result<Option<Self>> {
        let file = Blob::open(path, options.memory_map)?;
        let Some(Opened { contents, data, beside }) = foreign::open(Some(path), &file, options)?
        else {
            return Ok(None);
        };
        let places = vec![0; contents.tensors.len()];
        let mut shards = vec![Shard { path: path.into(), file, data }];
        shards.extend(beside.into_iter().map(|(path, file)| {
            // What it holds was given out with the first file.
            Shard { path, file, data: Data::Mapped(HashMap::new()) }
        }));
        Ok(Some(Self { contents, shards, places }))
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

    fn add(&mut self, contents: Contents, shard: Shard) {
        self.places.resize(self.places.len() + contents.tensors.len(), self.shards.len());
        self.shards.push(shard);
        self.contents.tensors.extend(contents.tensors);
        self.contents.metadata.retain(|key, value| contents.metadata.get(key) == Some(value));
    }
}

/// Files of a sharded checkpoint, sorted, and the names that its index lists.
fn shards(folder: &Path, options: &Options) -> Result<(BTreeSet<PathBuf>, Vec<String>)> {
    let io = |source| Error::Io { path: folder.into(), source };
    let mut files = BTreeSet::new();
    let mut indices = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.ends_with(".safetensors.index.json") {
            indices.push(path);
        } else if name.ends_with(".safetensors") && !name.starts_with('.') {
            files.insert(path);
        }
    }
    match indices.as_slice() {
        [] => Ok((files, Vec::new())),
        [index] => {
            let index = read_index(index, options)?;
            let mut named = BTreeSet::new();
            for file in index.values() {
                // Plain names only: an index cannot lead out of its folder.
                let path = folder.join(file);
                if !files.contains(&path) {
                    let reason = format!("its index names {:?}, which is not in it", short(file));
                    return Err(unsound(folder, reason));
                }
                named.insert(path);
            }
            Ok((named, index.into_keys().collect()))
        }
        _ => Err(unsound(folder, "it holds several indices: name a file of it".into())),
    }
}

/// The index's map from tensors to files.
fn read_index(path: &Path, options: &Options) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let io = |source| Error::Io { path: path.into(), source };
    let (value, limit) =
        (std::fs::metadata(path).map_err(io)?.len(), options.limits.header_bytes as u64);
    if value > limit {
        let what = path.display().to_string();
        return Err(Error::Limit { what, value, limit, option: "header_bytes" });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| unsound(path, format!("its index is not sound: {}", short(&e.to_string()))))?;
    Ok(index.weight_map)
}

/// A name of the index that no shard has; prefixes may be gone from the shards' names.
fn missing<'n>(listed: &'n [String], contents: &Contents) -> Option<&'n str> {
    let found: HashSet<&str> = contents.tensors.iter().map(|t| t.name.as_str()).collect();
    let mut names: Vec<&str> = listed.iter().map(String::as_str).collect();
    names::strip(&mut names);
    let at = names.iter().position(|name| !found.contains(name))?;
    listed.get(at).map(String::as_str)
}

fn unsound(folder: &Path, reason: String) -> Error {
    Error::Shards { path: folder.into(), reason }
}
