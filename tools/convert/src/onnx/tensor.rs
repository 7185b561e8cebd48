//! A constant of an ONNX file: in bytes, in numbers of its own message, or in another file.

use std::ops::Range;

use crate::{
    blob::Blob,
    dtype::Dtype,
    error::{Result, short},
    structure::{Array, count},
    tensor::MAX_DIMS,
};

use super::model::text;
use super::wire::{Fields, Value, bad};

/// Gives the bytes of a file beside the model, by its name.
pub(crate) type External<'f> = dyn Fn(&str) -> Result<Blob> + 'f;

/// Where a tensor's bytes are when they lie in another file.
#[derive(Default)]
struct Location<'f> {
    file: &'f str,
    offset: usize,
    length: Option<usize>,
}

/// The name and the values of the tensor whose message is at `range` of the file.
pub(super) fn read<'f>(
    file: &'f Blob,
    range: Range<usize>,
    external: &External<'_>,
) -> Result<(&'f str, Array)> {
    let bytes = file.bytes();
    let mut dims = Vec::new();
    let (mut name, mut kind, mut elsewhere) = ("", 0, false);
    let mut raw = None;
    let mut numbers = Vec::new();
    let mut location = Location::default();
    let mut fields = Fields::new(bytes, range);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => {
                match value {
                    Value::Bytes(range) => {
                        let mut packed = Fields::new(bytes, range);
                        while let Some(value) = packed.packed()?.filter(|_| dims.len() <= MAX_DIMS)
                        {
                            dims.push(value.cast_signed());
                        }
                    }
                    value => dims.push(value.int()?),
                }
                if dims.len() > MAX_DIMS {
                    return Err(bad(format!("a tensor has more than {MAX_DIMS} dimensions")));
                }
            }
            2 => kind = value.int()?,
            4 | 5 | 7 | 10 => numbers.push((number, value)),
            8 => name = text(bytes, &value)?,
            9 => raw = Some(value.range()?),
            13 => location.entry(bytes, value.range()?)?,
            14 => elsewhere = value.int()? == 1,
            _ => {}
        }
    }
    let wrong = |reason: String| bad(format!("the tensor {:?} {reason}", short(name)));
    let dims: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let dims = dims.ok_or_else(|| wrong("has a negative dimension".into()))?;
    let dtype = match kind {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::Bool,
        10 => Dtype::F16,
        11 => Dtype::F64,
        16 => Dtype::Bf16,
        other => return Err(wrong(format!("has the element type {other}, which is not read"))),
    };
    let blob = match raw {
        _ if elsewhere => {
            location.bytes(&dims, dtype, external).map_err(|e| wrong(e.to_string()))?
        }
        Some(range) => file.slice(range).ok_or_else(|| wrong("lies outside the file".into()))?,
        None => Blob::from_vec(listed(bytes, &numbers, dtype)?),
    };
    let (found, needed) = (blob.len(), count(&dims).and_then(|n| n.checked_mul(dtype.size())));
    Array::new(dims.clone(), dtype, blob)
        .map(|array| (name, array))
        .ok_or_else(|| wrong(format!("is {dims:?} of {dtype} in {found} bytes, not {needed:?}")))
}

/// The bytes of numbers that are fields of the message: never more than twice as many as the file's
/// for a type that the field is for.
fn listed(file: &[u8], numbers: &[(u64, Value)], dtype: Dtype) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut push = |value: u64| match dtype {
        Dtype::I64 => out.extend(value.to_le_bytes()),
        Dtype::I32 | Dtype::F32 => out.extend((value as u32).to_le_bytes()),
        Dtype::F16 | Dtype::Bf16 | Dtype::I16 => out.extend((value as u16).to_le_bytes()),
        _ => out.push(value as u8),
    };
    let mut packs = Vec::new();
    for (number, value) in numbers {
        let fits = match number {
            4 => dtype == Dtype::F32,
            7 => dtype == Dtype::I64,
            10 => dtype == Dtype::F64,
            _ => !matches!(dtype, Dtype::F32 | Dtype::F64 | Dtype::I64),
        };
        if !fits {
            return Err(bad("a tensor's numbers are in the field of another type"));
        }
        match (number, value) {
            (4 | 10, Value::Bytes(range)) => packs.push(range.clone()),
            (4, Value::Four(bytes)) => push(u32::from_le_bytes(*bytes).into()),
            (5 | 7, Value::Bytes(range)) => {
                let mut packed = Fields::new(file, range.clone());
                while let Some(value) = packed.packed()? {
                    push(value);
                }
            }
            (5 | 7, Value::Varint(value)) => push(*value),
            _ => return Err(bad("a tensor's numbers are in a field of another form")),
        }
    }
    for range in packs {
        out.extend_from_slice(file.get(range).unwrap_or_default());
    }
    Ok(out)
}

impl<'f> Location<'f> {
    /// A pair of texts that says where the bytes are.
    fn entry(&mut self, file: &'f [u8], range: Range<usize>) -> Result<()> {
        let (mut key, mut value) = ("", "");
        let mut fields = Fields::new(file, range);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => key = text(file, &field)?,
                2 => value = text(file, &field)?,
                _ => {}
            }
        }
        let number = || value.parse().map_err(|_| bad(format!("{} is not a number", short(value))));
        match key {
            "location" => self.file = value,
            "offset" => self.offset = number()?,
            "length" => self.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }

    fn bytes(&self, dims: &[usize], dtype: Dtype, external: &External<'_>) -> Result<Blob> {
        let needed = count(dims).and_then(|n| n.checked_mul(dtype.size()));
        let length = self.length.or(needed);
        if length != needed {
            return Err(bad("has another length in its file than its dimensions say"));
        }
        let all = external(self.file)?;
        let end = length.and_then(|length| self.offset.checked_add(length));
        let part = end.and_then(|end| all.slice(self.offset..end));
        part.ok_or_else(|| bad(format!("reaches past the end of {}", short(self.file))))
    }
}
