//! PyTorch's own checkpoint formats, read as data by `pentimento-convert`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use pentimento_convert::{Contents, Dtype, Options, Tensor};

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::{Encoding, Param};

pub(super) fn open(path: &Path) -> Result<Checkpoint> {
    pentimento_convert::open(path, &options())
        .map_err(|e| rejected(path, &e))
        .and_then(|read| adopt(read, path))
}

pub(super) fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Checkpoint> {
    pentimento_convert::from_bytes(bytes, &options())
        .map_err(|e| rejected(path, &e))
        .and_then(|read| adopt(read, path))
}

fn options() -> Options {
    Options::default()
}

fn rejected(path: &Path, error: &pentimento_convert::Error) -> Error {
    Error::Checkpoint { path: path.to_owned(), what: error.to_string() }
}

pub(super) fn outline(path: &Path, contents: &Contents) -> Checkpoint {
    let (floats, others): (Vec<_>, Vec<_>) =
        contents.tensors.iter().partition(|entry| entry.dtype.is_float());
    let outline = |entry: &&pentimento_convert::Entry| {
        let param = Param::outline(&*entry.name, entry.shape().to_vec());
        (entry.name.clone(), param)
    };
    Checkpoint {
        path: path.to_owned(),
        tensors: floats.iter().map(outline).collect(),
        metadata: contents.metadata.clone().into_iter().collect(),
        skipped: others.iter().map(|e| format!("{} ({})", e.name, e.dtype)).collect(),
    }
}

fn adopt(read: pentimento_convert::Checkpoint, path: &Path) -> Result<Checkpoint> {
    let mut tensors = BTreeMap::new();
    let mut skipped = Vec::new();
    for tensor in &read.tensors {
        match param(tensor) {
            Some(param) => {
                tensors.insert(tensor.name.clone(), param);
            }
            None => skipped.push(format!("{} ({})", tensor.name, tensor.dtype)),
        }
    }
    let metadata =
        HashMap::from_iter(read.container.map(|container| ("container".to_owned(), container)));
    Ok(Checkpoint { path: path.to_owned(), tensors, metadata, skipped })
}

/// The tensor's values, contiguous; `None` when they are not floating-point numbers.
fn param(tensor: &Tensor) -> Option<Param> {
    let (encoding, bytes) = match tensor.dtype {
        Dtype::F32 => (Encoding::F32, tensor.to_contiguous_le().into_owned()),
        Dtype::F16 => (Encoding::F16, tensor.to_contiguous_le().into_owned()),
        Dtype::Bf16 => (Encoding::Bf16, tensor.to_contiguous_le().into_owned()),
        Dtype::F64 => {
            (Encoding::F32, tensor.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect())
        }
        _ => return None,
    };
    let range = 0..bytes.len();
    Param::new(&*tensor.name, tensor.shape.clone(), encoding, Arc::new(bytes), range)
}
