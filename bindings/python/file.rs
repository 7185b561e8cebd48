//! A picture's file to the file of its result, as the command line writes it.

use std::path::Path;

use pentimento::photo::{
    self, Encoding, Format, Outcome, Page, Pipeline, ReadOptions, Restoration,
};
use pentimento::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A result's file, and what a report says about it.
pub struct Written {
    pub bytes: Vec<u8>,
    pub faces: Option<Vec<Outcome>>,
    input_size: [usize; 2],
    output_size: [usize; 2],
    copied: bool,
    /// Whether faces were searched.
    is_photo: bool,
    notes: Vec<String>,
}

/// Restores the picture of `file`. Errors call it `name`; the extension of `output` says the format
/// of the result.
pub fn restored(
    pipeline: &mut Pipeline,
    file: &[u8],
    [name, output]: [&Path; 2],
    encoding: &Encoding,
    reading: &ReadOptions,
) -> Result<Written> {
    let Page { picture, metadata, mut notes, .. } = photo::decode_page(file, name, reading)?;
    let input_size = [picture.height, picture.width];
    let [height, width] = pipeline.output_size(picture.height, picture.width)?;
    let format = Format::of(output)?;
    format.check_size(output, height, width)?;
    let Restoration { picture: result, faces, notes: said, .. } =
        pipeline.restore(&picture, None)?;
    // What was turned upright is written so, and what was salvaged is written whole.
    let salvaged = reading.salvage && !notes.is_empty();
    notes.extend(said);
    let copied = result == picture
        && Format::of_bytes(file) == Some(format)
        && !metadata.kept.turned
        && !salvaged
        && encoding.quality.is_none();
    let bytes = if copied {
        notes.push("nothing was changed; the file was copied".to_owned());
        file.to_vec()
    } else {
        let encoded = photo::encode_with(&result, &metadata, output, encoding)?;
        notes.extend(encoded.notes);
        encoded.bytes
    };
    let (output_size, is_photo) = ([result.height, result.width], faces.is_some());
    Ok(Written { bytes, faces, input_size, output_size, copied, is_photo, notes })
}

impl Written {
    pub fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let [height, width] = self.input_size;
        dict.set_item("input_size", (height, width))?;
        let [height, width] = self.output_size;
        dict.set_item("output_size", (height, width))?;
        dict.set_item("copied", self.copied)?;
        dict.set_item("is_photo", self.is_photo)?;
        dict.set_item("notes", &self.notes)?;
        Ok(dict)
    }
}

/// Whether results can be written to a file of this name.
pub fn is_written(name: &str) -> bool {
    Format::of(Path::new(name)).is_ok()
}

/// The options of a result's file.
pub fn encoding(quality: Option<u8>, matte: Option<[u8; 3]>) -> Result<Encoding> {
    if quality.is_some_and(|quality| !(1..=100).contains(&quality)) {
        return Err(Error::Input("quality is a number from 1 to 100".to_owned()));
    }
    Ok(Encoding { quality, matte: matte.unwrap_or([255; 3]) })
}
