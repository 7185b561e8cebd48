//! ncnn models: a list of layers (`.param`, or `.param.bin`) and their weights (`.bin`), in which no
//! tensor has a name.

mod layers;
mod param;
mod weights;

use std::path::{Path, PathBuf};

use crate::{
    blob::Blob,
    error::Result,
    options::Limits,
    structure::{self, Mapped},
};

pub(crate) use param::MAGIC;
use param::bad;

/// The file with the weights of the list of layers at `path`: `model.param`, `model.param.bin` and
/// `model.ncnn.param` have it beside them as `model.bin` and `model.ncnn.bin`.
pub(crate) fn weights_of(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".param.bin").or_else(|| name.strip_suffix(".param"));
    path.with_file_name(format!("{}.bin", stem.unwrap_or(&name)))
}

/// Reads the model whose layers `param` lists and whose weights are `bin`.
pub(crate) fn read(param: &Blob, bin: &Blob, limits: &Limits) -> Result<Mapped> {
    let bytes = param.bytes();
    if bytes.len() > limits.header_bytes {
        return Err(bad("the .param file is too large to be a list of layers"));
    }
    let layers = match bytes.first_chunk::<4>() {
        Some(first) if u32::from_le_bytes(*first) == MAGIC => param::binary(bytes, limits)?,
        _ => param::text(bytes, limits)?,
    };
    let (graph, notes) = layers::import(&layers, weights::Weights::new(bin.clone()))?;
    let mut mapped = structure::map(&graph, "ncnn")?;
    mapped.notes.extend(notes);
    Ok(mapped)
}
