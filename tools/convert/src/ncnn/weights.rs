//! The `.bin` file of an ncnn model: the weights of one layer after the other, without names, sizes
//! or types but a word before those that may be stored in fewer bits.

use crate::{
    blob::Blob,
    dtype::Dtype,
    error::{Error, Result},
    structure::{Array, count},
};

use super::param::bad;

/// The word before 16-bit floating-point numbers.
const F16: u32 = 0x0130_6B47;
/// The word before 8-bit integers, whose scales follow elsewhere.
const I8: u32 = 0x000D_4B38;
/// The word before 32-bit numbers that carry a scale.
const RAW: u32 = 0x0002_C056;
/// Entries of the table that the other words stand for: every weight is the number of one.
const TABLE: usize = 256;

/// The weights, read from the start to the end.
pub(super) struct Weights {
    file: Blob,
    at: usize,
}

/// How weights were stored that stay 8-bit integers until their scales are known.
pub(super) enum Stored {
    Floats(Array),
    Integers(Vec<i8>),
}

impl Weights {
    pub fn new(file: Blob) -> Self {
        Self { file, at: 0 }
    }

    /// Bytes that no layer took.
    pub fn left(&self) -> usize {
        self.file.len().saturating_sub(self.at)
    }

    fn take(&mut self, bytes: Option<usize>, layer: &str) -> Result<Blob> {
        let end = bytes.and_then(|bytes| self.at.checked_add(bytes));
        let part = end.and_then(|end| Some((end, self.file.slice(self.at..end)?)));
        let Some((end, part)) = part else {
            return Err(bad(format!(
                "the .bin file ends in the weights of {layer}: it is cut short, or belongs to another \
                 .param file"
            )));
        };
        self.at = end;
        Ok(part)
    }

    /// 32-bit numbers without a word before them.
    pub fn plain(&mut self, dims: &[usize], layer: &str) -> Result<Array> {
        let bytes = count(dims).and_then(|n| n.checked_mul(4));
        let part = self.take(bytes, layer)?;
        let array = Array::new(dims.to_vec(), Dtype::F32, part);
        array.ok_or_else(|| bad(format!("the weights of {layer} are too many")))
    }

    /// Numbers that are stored as the word before them says, integers refused.
    pub fn floats(&mut self, dims: &[usize], layer: &str) -> Result<Array> {
        match self.tagged(dims, layer)? {
            Stored::Floats(array) => Ok(array),
            Stored::Integers(_) => {
                Err(bad(format!("the weights of {layer} are integers without scales")))
            }
        }
    }

    /// Numbers that are stored as the word before them says.
    pub fn tagged(&mut self, dims: &[usize], layer: &str) -> Result<Stored> {
        let n = count(dims);
        let word = self.take(Some(4), layer)?;
        let word = word.bytes().first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word));
        let mut padded = |bytes: Option<usize>| {
            let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(4));
            self.take(bytes, layer)
        };
        let unsound = || bad(format!("the weights of {layer} are too many"));
        let array = match word {
            F16 => {
                let bytes = n.and_then(|n| n.checked_mul(2)).ok_or_else(unsound)?;
                let part = padded(Some(bytes))?.slice(0..bytes).ok_or_else(unsound)?;
                Array::new(dims.to_vec(), Dtype::F16, part)
            }
            I8 => {
                let part = padded(n)?;
                let bytes = part.bytes().get(..n.unwrap_or_default()).unwrap_or_default();
                return Ok(Stored::Integers(bytes.iter().map(|&b| b.cast_signed()).collect()));
            }
            0 | RAW => return Ok(Stored::Floats(self.plain(dims, layer)?)),
            _ => {
                let table = self.plain(&[TABLE], layer)?.to_f32();
                let bytes = n.and_then(|n| n.checked_next_multiple_of(4));
                let part = self.take(bytes, layer)?;
                let indices = part.bytes().get(..n.unwrap_or_default()).unwrap_or_default();
                let values = indices.iter().filter_map(|&i| table.get(usize::from(i)).copied());
                Array::of_f32(dims.to_vec(), &values.collect::<Vec<_>>())
            }
        };
        array.map(Stored::Floats).ok_or_else(unsound)
    }
}

/// Integers divided by the scale of their row, or by the only one.
pub(super) fn dequantised(
    integers: &[i8],
    dims: &[usize],
    scales: &[f32],
    layer: &str,
) -> Result<Array> {
    let wrong = |what: &str| -> Error { bad(format!("{what} of {layer}")) };
    let rows = scales.len();
    if rows == 0 || !integers.len().is_multiple_of(rows) {
        return Err(wrong("as many scales as rows are missing from the integers"));
    }
    if scales.iter().any(|scale| !scale.is_finite() || *scale == 0.0) {
        return Err(wrong("zero or infinity is a scale"));
    }
    let mut values = Vec::with_capacity(integers.len());
    let row = (integers.len() / rows).max(1);
    for (row, scale) in integers.chunks(row).zip(scales) {
        values.extend(row.iter().map(|&value| f32::from(value) / scale));
    }
    Array::of_f32(dims.to_vec(), &values)
        .ok_or_else(|| wrong("the shape does not fit the integers"))
}
