//! Checkpoints: named tensors from safetensors files, or from PyTorch's own formats by way of the
//! converter's reader. Tensors stay in the mapped file until a backend packs them.

mod torch;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::{Error, Result};
use crate::graph::{Encoding, Param, Storage};

/// Named tensors and the file's metadata.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, Param>,
    metadata: HashMap<String, String>,
    /// Tensors that are no floating-point numbers, with their type: kept by name only.
    skipped: Vec<String>,
}

/// A file that lives in memory as a map.
struct Mapped(memmap2::Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Checkpoint {
    /// Opens a safetensors file, or a `.pth` of PyTorch, by looking at its first bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Checkpoint`] when it is damaged or
    /// something else.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(Error::Checkpoint {
                path: path.to_owned(),
                what:
                    "is a folder; name a .safetensors or .pth file, or make one of the shards in \
                       it with `pentimento convert`"
                        .to_owned(),
            });
        }
        // SAFETY: the map is private and only read. Another process that truncates the file while
        // we read could raise a signal, as with every memory map; weights are not edited in use.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        let head = &map[..map.len().min(pentimento_convert::DETECT_BYTES)];
        match pentimento_convert::detect(head) {
            pentimento_convert::Kind::Zip
            | pentimento_convert::Kind::Legacy
            | pentimento_convert::Kind::Onnx
            | pentimento_convert::Kind::Ncnn => {
                drop(map);
                torch::open(path)
            }
            _ => Self::from_storage(Arc::new(Mapped(map)), path),
        }
    }

    /// Reads a checkpoint of any supported format in memory; `label` stands for its name in
    /// messages.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is damaged or something else.
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        label: &str,
    ) -> Result<Self> {
        let all = bytes.as_ref();
        match pentimento_convert::detect(&all[..all.len().min(pentimento_convert::DETECT_BYTES)]) {
            pentimento_convert::Kind::Zip
            | pentimento_convert::Kind::Legacy
            | pentimento_convert::Kind::Onnx
            | pentimento_convert::Kind::Ncnn => torch::from_bytes(all.to_vec(), Path::new(label)),
            _ => Self::from_storage(Arc::new(bytes), Path::new(label)),
        }
    }

    /// A checkpoint of which only names, shapes and metadata are known: its architecture can be
    /// recognised, its network cannot be run.
    pub fn outline(path: &Path, contents: &pentimento_convert::Contents) -> Self {
        torch::outline(path, contents)
    }

    /// A checkpoint made of tensors that are already at hand.
    pub fn from_params(label: &str, params: impl IntoIterator<Item = Param>) -> Self {
        Self {
            path: PathBuf::from(label),
            tensors: params.into_iter().map(|p| (p.name.clone(), p)).collect(),
            metadata: HashMap::new(),
            skipped: Vec::new(),
        }
    }

    /// The same with one more value of metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    fn from_storage(storage: Storage, path: &Path) -> Result<Self> {
        let bytes = (*storage).as_ref();
        let damaged = |what: String| Error::Checkpoint { path: path.to_owned(), what };
        let kind = pentimento_convert::detect(&bytes[..bytes.len().min(512)]);
        let reject = |e: safetensors::SafeTensorError| match kind {
            pentimento_convert::Kind::Safetensors => {
                damaged(format!("is a damaged safetensors file ({e}); download it again"))
            }
            other => damaged(format!("is no checkpoint: {}", other.advice())),
        };
        let parsed = SafeTensors::deserialize(bytes).map_err(reject)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(reject)?;
        let mut tensors = BTreeMap::new();
        let mut skipped = Vec::new();
        for (name, view) in parsed.iter() {
            let encoding = match view.dtype() {
                Dtype::F32 => Encoding::F32,
                Dtype::F16 => Encoding::F16,
                Dtype::BF16 => Encoding::Bf16,
                other => {
                    skipped.push(format!("{name} ({other:?})"));
                    continue;
                }
            };
            let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let range = start..start + view.data().len();
            let param = Param::new(name, view.shape().to_vec(), encoding, storage.clone(), range)
                .ok_or_else(|| damaged(format!("tensor {name} has the wrong length")))?;
            tensors.insert(name.to_owned(), param);
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_owned(), tensors, metadata, skipped })
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = &Param> {
        self.tensors.values()
    }

    /// Tensors of other than floating-point types, which no network reads.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// A value of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// All metadata, sorted by key.
    pub fn all_metadata(&self) -> BTreeMap<&str, &str> {
        self.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    /// Whether there is a tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether there is a tensor whose name begins with `prefix`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.tensors.keys().any(|name| name.starts_with(prefix))
    }

    /// The dimensions of the tensor `name`.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|p| p.dims.as_slice())
    }

    /// The outermost dimension of the tensor `name`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or a scalar.
    pub fn rows(&self, name: &str) -> Result<usize> {
        match self.dims(name) {
            Some([rows, ..]) => Ok(*rows),
            Some([]) => Err(tensor(name, "is a scalar".to_owned())),
            None => Err(self.missing(name)),
        }
    }

    /// How many of `name(0)`, `name(1)`, … there are before the first that is missing.
    pub fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|&i| self.contains(&name(i))).count()
    }

    /// One more than the largest `i` of tensors named `{prefix}{i}.…`: unlike a count, it does not
    /// change when one tensor of a layer is missing.
    pub fn numbered(&self, prefix: &str) -> usize {
        let index = |p: &Param| p.name.strip_prefix(prefix)?.split_once('.')?.0.parse().ok();
        self.tensors().filter_map(index).max().map_or(0, |largest: usize| largest.saturating_add(1))
    }

    /// The most frequent size along `axis` of the tensors named `{prefix}…{suffix}`, the smallest of
    /// several: one tensor that differs from its like is then found to be wrong, not believed.
    ///
    /// # Errors
    /// [`Error::Tensor`] when there is none.
    pub fn usual(&self, prefix: &str, suffix: &str, axis: usize) -> Result<usize> {
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        let like = |p: &&Param| p.name.starts_with(prefix) && p.name.ends_with(suffix);
        for param in self.tensors().filter(like) {
            if let Some(&size) = param.dims.get(axis) {
                *sizes.entry(size).or_default() += 1;
            }
        }
        let usual = sizes.into_iter().max_by_key(|&(size, count)| (count, std::cmp::Reverse(size)));
        usual.map(|(size, _)| size).ok_or_else(|| self.missing(&format!("{prefix}…{suffix}")))
    }

    /// The tensor `name`, which must have `dims`; dimensions of 1 may be more or fewer.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is missing or has another shape.
    pub fn require(&self, name: &str, dims: &[usize]) -> Result<Param> {
        let param = self.tensors.get(name).ok_or_else(|| self.missing(name))?;
        let significant =
            |dims: &[usize]| -> Vec<usize> { dims.iter().copied().filter(|&d| d != 1).collect() };
        let fits = significant(&param.dims) == significant(dims);
        fits.then(|| param.clone().reshaped(dims.to_vec()))
            .flatten()
            .ok_or_else(|| tensor(name, format!("has shape {:?}, expected {dims:?}", param.dims)))
    }

    fn missing(&self, name: &str) -> Error {
        tensor(name, format!("is missing from {}", self.path.display()))
    }
}

fn tensor(name: &str, what: String) -> Error {
    Error::Tensor { name: name.to_owned(), what }
}
