//! ONNX models, read as data: no operator of a file is executed, but for those that fold constants.

mod fold;
mod layers;
mod model;
mod tensor;
mod wire;

use crate::{
    blob::Blob,
    error::Result,
    options::Limits,
    structure::{self, Mapped},
};

pub(crate) use tensor::External;

/// How many times the bytes of its constants folded constants may take: f16 becomes f32, and a network has few
/// constants that are folded more than once.
const FOLDED: usize = 4;
/// Bytes that they may take however small the file is.
const FLOOR: usize = 1 << 20;

/// Reads the model in `file`; `external` gives the files beside it that it names.
pub(crate) fn read(file: &Blob, external: &External<'_>, limits: &Limits) -> Result<Mapped> {
    let model = model::Reader::new(file, external, limits).model()?;
    let constants: usize = model.constants.iter().map(|(_, array)| array.bytes().len()).sum();
    let budget = file.len().max(constants).saturating_mul(FOLDED).saturating_add(FLOOR);
    let graph = layers::import(&model, budget)?;
    structure::map(&graph, "ONNX")
}
