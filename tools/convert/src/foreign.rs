//! Files of other frameworks, whose networks are recognised by what they compute: ONNX and ncnn.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use crate::{
    Format,
    blob::Blob,
    contents::{Contents, Data, Entry},
    detect::{DETECT_BYTES, Kind, detect},
    error::{Error, Result, short},
    names, ncnn, onnx,
    options::Options,
    structure::Mapped,
    tensor::Layout,
};

/// A network with the names that its tensors have in PyTorch.
pub(crate) struct Opened {
    pub contents: Contents,
    pub data: Data,
    /// Other files that hold a part of it.
    pub beside: Vec<(PathBuf, Blob)>,
}

/// Reads the network that `file` holds; `None` when the file is not of another framework. `path` says
/// where files beside it are.
pub(crate) fn open(path: Option<&Path>, file: &Blob, options: &Options) -> Result<Option<Opened>> {
    let bytes = file.bytes();
    match detect(bytes.get(..DETECT_BYTES).unwrap_or(bytes)) {
        Kind::Onnx => {
            let files = Beside { path, options, opened: RefCell::default() };
            let mapped = onnx::read(file, &|name| files.get(name), &options.limits)?;
            let beside = files.opened.into_inner();
            Ok(Some(opened(Format::Onnx, mapped, beside.into_values().collect(), options)?))
        }
        Kind::Ncnn => {
            let Some(path) = path else {
                let reason =
                    "its weights lie in a second file, so it is read from a path, not from memory";
                return Err(Error::Ncnn { reason: reason.into() });
            };
            let weights = ncnn::weights_of(path);
            let bin = Blob::open(&weights, options.memory_map)?;
            let beside = vec![(weights, bin.clone())];
            Ok(Some(Opened { beside, ..ncnn(file, &bin, options)? }))
        }
        _ => match path.and_then(layers_of) {
            Some(layers) => Err(Error::Ncnn {
                reason: format!(
                    "these are only its weights; name the list of its layers, {}",
                    layers.display()
                ),
            }),
            None => Ok(None),
        },
    }
}

/// The network of an ncnn model: its list of layers and its weights.
pub(crate) fn ncnn(param: &Blob, bin: &Blob, options: &Options) -> Result<Opened> {
    let mapped = ncnn::read(param, bin, &options.limits)?;
    opened(Format::Ncnn, mapped, Vec::new(), options)
}

/// The list of layers beside a `.bin` file of ncnn.
fn layers_of(path: &Path) -> Option<PathBuf> {
    let is_bin = path.extension().is_some_and(|extension| extension == "bin");
    let layers = path.with_extension("param");
    (is_bin && layers.is_file()).then_some(layers)
}

/// Files beside a model that it names, each opened once.
struct Beside<'p> {
    path: Option<&'p Path>,
    options: &'p Options,
    opened: RefCell<BTreeMap<String, (PathBuf, Blob)>>,
}

impl Beside<'_> {
    fn get(&self, name: &str) -> Result<Blob> {
        let bad = |reason: String| Error::Onnx { reason };
        let mut opened = self.opened.borrow_mut();
        if let Some((_, blob)) = opened.get(name) {
            return Ok(blob.clone());
        }
        let Some(model) = self.path else {
            let reason = "has its weights in a second file, so the model is read from a path, not \
                          from memory";
            return Err(bad(reason.into()));
        };
        // Plain names only: a model cannot lead out of its folder.
        if Path::new(name).file_name().is_none_or(|file| file != name) || name.contains(['/', '\\'])
        {
            return Err(bad(format!("has its weights in {:?}, outside its folder", short(name))));
        }
        let path = model.with_file_name(name);
        let blob = Blob::open(&path, self.options.memory_map)?;
        opened.insert(name.into(), (path, blob.clone()));
        Ok(blob)
    }
}

fn opened(
    format: Format,
    mapped: Mapped,
    beside: Vec<(PathBuf, Blob)>,
    options: &Options,
) -> Result<Opened> {
    let found: Vec<&str> = mapped.tensors.iter().map(|(name, _)| name.as_str()).collect();
    names::check(&found, "the network", options)?;
    let mut blobs = HashMap::new();
    let mut tensors = Vec::new();
    for (name, array) in mapped.tensors {
        let layout = Layout::dense(array.dims())
            .map_err(|reason| Error::Tensor { name: short(&name), reason })?;
        tensors.push(Entry::new(name.clone(), array.dtype(), layout, name.clone()));
        blobs.insert(name, array.bytes().clone());
    }
    let contents = Contents {
        format,
        container: None,
        candidates: vec![String::new()],
        stripped: Vec::new(),
        dropped: mapped.notes,
        metadata: mapped.facts,
        tensors,
    };
    Ok(Opened { contents, data: Data::Mapped(blobs), beside })
}
