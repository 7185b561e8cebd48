//! Safetensors files as input: the one reader of the converter and of the engine.

use std::{collections::HashMap, ops::Range};

use crate::{
    Format,
    blob::Blob,
    contents::{Contents, Entry},
    error::{Error, Result, short},
    header::{self, Line},
    options::Options,
    tensor::Layout,
};

/// The bytes of each tensor, by the name that the file gives it.
pub(crate) struct Parts {
    file: Blob,
    ranges: HashMap<String, Range<usize>>,
}

impl Parts {
    /// The bytes of a tensor.
    pub fn storage(&self, name: &str) -> Result<Blob> {
        let range = self.ranges.get(name).cloned();
        range.and_then(|range| self.file.slice(range)).ok_or_else(|| Error::Storage {
            key: short(name),
            reason: "it lies outside the file".into(),
        })
    }
}

/// What the safetensors file `file` holds, under the names that it gives.
pub(crate) fn read(file: &Blob, options: &Options) -> Result<(Contents, Parts)> {
    let (metadata, lines) = header::read(file.bytes(), &options.limits)?;
    let mut ranges = HashMap::new();
    let mut tensors = Vec::new();
    for Line { name, dtype, shape, bytes } in lines {
        let layout =
            Layout::dense(&shape).map_err(|reason| Error::Tensor { name: short(&name), reason })?;
        ranges.insert(name.clone(), bytes);
        tensors.push(Entry::new(name.clone(), dtype, layout, name));
    }
    if tensors.is_empty() {
        return Err(Error::NoTensors { found: "an empty header".into() });
    }
    let contents = Contents {
        format: Format::Safetensors,
        container: None,
        candidates: vec![String::new()],
        stripped: Vec::new(),
        dropped: Vec::new(),
        metadata,
        tensors,
    };
    Ok((contents, Parts { file: file.clone(), ranges }))
}
