//! Checkpoints: named tensors from safetensors files and PyTorch's own formats, which the converter's
//! library reads. Tensors stay in the mapped file until a backend packs them.

mod taken;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pentimento_convert::{Dtype, Elements, Options, Source};

pub use taken::Taken;

use crate::graph::{Encoding, Param};
use crate::{Error, Result};

/// Named tensors and the file's metadata.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, Param>,
    metadata: HashMap<String, String>,
    /// Tensors that are not floating-point numbers, and their types and dimensions.
    skipped: BTreeMap<String, (Dtype, Vec<usize>)>,
    taken: Taken,
    /// Names of the tensors whose values were asked for; only of a [`Checkpoint::watched`] one.
    reads: Option<Arc<Mutex<BTreeSet<String>>>>,
}

impl Checkpoint {
    /// Opens a safetensors file or a `.pth` of PyTorch, which its first bytes tell apart, or the
    /// index of a checkpoint in several files, or a folder with such an index.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Checkpoint`] when it is damaged or
    /// something else.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() && !has_index(path) {
            return Err(Error::Checkpoint {
                path: path.to_owned(),
                what: "is a folder without an index (*.index.json): name a .safetensors or .pth \
                       file in it, or join its files with `pentimento convert`"
                    .to_owned(),
            });
        }
        let mut source = Source::open(path, &Options::default()).map_err(|e| rejected(path, e))?;
        Self::from_source(&mut source, path)
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
        let path = Path::new(label);
        let mut source = Source::from_shared(Arc::new(bytes), &Options::default())
            .map_err(|e| rejected(path, e))?;
        Self::from_source(&mut source, path)
    }

    /// The weights that were found in `source`, which was opened at `path`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when their data are damaged.
    pub fn from_source(source: &mut Source, path: &Path) -> Result<Self> {
        let contents = source.contents();
        let metadata = contents.metadata.clone().into_iter().collect();
        let taken = Taken::new(contents);
        let mut tensors = BTreeMap::new();
        let mut skipped = BTreeMap::new();
        for index in 0..contents.tensors.len() {
            let tensor = source.tensor(index).map_err(|e| rejected(path, e))?;
            let (name, dims) = (tensor.name.clone(), tensor.shape.clone());
            let (encoding, elements) = match tensor.dtype {
                Dtype::F32 => (Encoding::F32, Elements::of(tensor)),
                Dtype::F16 => (Encoding::F16, Elements::of(tensor)),
                Dtype::Bf16 => (Encoding::Bf16, Elements::of(tensor)),
                dtype if dtype.is_float() => (Encoding::F32, Elements::as_f32(tensor)),
                dtype => {
                    skipped.insert(name, (dtype, dims));
                    continue;
                }
            };
            let param =
                Param::lazy(&*name, dims, encoding, Arc::new(elements)).ok_or_else(|| {
                    let what = format!("tensor {name} is too large");
                    Error::Checkpoint { path: path.to_owned(), what }
                })?;
            tensors.insert(name, param);
        }
        Ok(Self { path: path.to_owned(), tensors, metadata, skipped, taken, reads: None })
    }

    /// Makes a checkpoint of tensors in memory.
    pub fn from_params(label: &str, params: impl IntoIterator<Item = Param>) -> Self {
        Self {
            path: PathBuf::from(label),
            tensors: params.into_iter().map(|p| (p.name.clone(), p)).collect(),
            metadata: HashMap::new(),
            skipped: BTreeMap::new(),
            taken: Taken::default(),
            reads: None,
        }
    }

    /// Adds a value to the metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A copy that remembers which tensors' values are asked for.
    #[must_use]
    pub fn watched(&self) -> Self {
        Self { reads: Some(Arc::default()), ..self.clone() }
    }

    /// Names of the tensors, of any type, whose values were never asked for since the checkpoint was
    /// [`Checkpoint::watched`].
    pub fn unread(&self) -> Vec<&str> {
        let reads = self.reads.as_ref().map(|reads| reads.lock());
        let reads = reads.map(|reads| reads.unwrap_or_else(PoisonError::into_inner));
        self.names()
            .filter(|name| !reads.as_ref().is_some_and(|reads| reads.contains(*name)))
            .collect()
    }

    /// Names of all tensors, of any type.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().chain(self.skipped.keys()).map(String::as_str)
    }

    /// The choices that were made where the file left one.
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = &Param> {
        self.tensors.values()
    }

    /// Tensors of other than floating-point types, which no network reads, with their types.
    pub fn skipped(&self) -> Vec<String> {
        self.skipped.iter().map(|(name, (dtype, _))| format!("{name} ({dtype})")).collect()
    }

    /// Whether the tensor `name`, of any type, is a single value.
    pub fn is_single_value(&self, name: &str) -> bool {
        let dims = self.dims(name).or_else(|| self.skipped.get(name).map(|(_, dims)| &**dims));
        dims.is_some_and(|dims| dims.iter().all(|&size| size == 1))
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
        self.beginning(prefix).next().is_some()
    }

    /// All tensors whose names begin so, sorted by name; the others are not looked at, because files
    /// may have very many layers.
    fn beginning(&self, prefix: &str) -> impl Iterator<Item = &Param> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let tensors = self.tensors.range::<str, _>(from).map(|(_, param)| param);
        tensors.take_while(move |param| param.name.starts_with(prefix))
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
    /// change when one tensor of a layer is missing. Numbers beyond that of the tensors in the file
    /// are nobody's layers.
    pub fn numbered(&self, prefix: &str) -> usize {
        let most = self.tensors.len();
        let index = |p: &Param| {
            let index = p.name.strip_prefix(prefix)?.split_once('.')?.0.parse().ok();
            index.filter(|&index: &usize| index <= most)
        };
        self.beginning(prefix)
            .filter_map(index)
            .max()
            .map_or(0, |largest: usize| largest.saturating_add(1))
    }

    /// The most frequent size along `axis` of the tensors named `{prefix}…{suffix}`, the smallest of
    /// several: one tensor that differs from its like is then found to be wrong, not believed.
    ///
    /// # Errors
    /// [`Error::Tensor`] when there is none.
    pub fn usual(&self, prefix: &str, suffix: &str, axis: usize) -> Result<usize> {
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        let like = |p: &&Param| p.name.ends_with(suffix);
        for param in self.beginning(prefix).filter(like) {
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
        if let Some(reads) = &self.reads {
            reads.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
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

/// Whether the folder has the index of a checkpoint in several files.
fn has_index(folder: &Path) -> bool {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().ends_with(".index.json"))
}

fn rejected(path: &Path, error: pentimento_convert::Error) -> Error {
    match error {
        pentimento_convert::Error::Io { path, source } => {
            Error::Io { action: "read", path, source }
        }
        error => Error::Checkpoint { path: path.to_owned(), what: error.to_string() },
    }
}
