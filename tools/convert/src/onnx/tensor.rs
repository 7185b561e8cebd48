//! A constant of an ONNX file: in bytes, in numbers of its own message, or in another file.

use std::ops::Range;

use crate::{
    blob::Blob,
    dtype::Dtype,
    error::{Error, Result, short},
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
    let mut location = Location::default();
    let mut fields = Fields::new(bytes, range.clone());
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
            8 => name = text(bytes, &value)?,
            9 => raw = Some(value.range()?),
            13 => location.entry(bytes, value.range()?)?,
            14 => elsewhere = value.int()? == 1,
            _ => {}
        }
    }
    let wrong = |reason: String| bad(format!("the tensor {:?} {reason}", short(name)));
    // The inner error's reason, without a second "the ONNX file is not sound".
    let placed = |error: Error| match error {
        Error::Onnx { reason } => wrong(reason),
        other => wrong(format!("has its weights in another file: {other}")),
    };
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
        _ if elsewhere => location.bytes(&dims, dtype, external).map_err(placed)?,
        Some(range) => file.slice(range).ok_or_else(|| wrong("lies outside the file".into()))?,
        None => {
            // Their type may stand behind them, so that they are read last.
            let most = count(&dims).unwrap_or(usize::MAX);
            let listed = listed(bytes, range, dtype, most).map_err(|e| match e {
                Error::Onnx { reason } => wrong(reason),
                other => other,
            })?;
            Blob::from_vec(listed)
        }
    };
    let (found, needed) = (blob.len(), count(&dims).and_then(|n| n.checked_mul(dtype.size())));
    Array::new(dims.clone(), dtype, blob)
        .map(|array| (name, array))
        .ok_or_else(|| wrong(format!("is {dims:?} of {dtype} in {found} bytes, not {needed:?}")))
}

/// The most integers that a message may list one by one: a number of one byte takes eight. Shapes
/// and indices are short; weights are listed as floating-point numbers.
const INTEGERS: usize = 1 << 20;

/// The bytes of the numbers, at most `most` of them, that are fields of the message at `range`:
/// never more than twice as many as the file's for floating-point numbers.
fn listed(file: &[u8], range: Range<usize>, dtype: Dtype, most: usize) -> Result<Vec<u8>> {
    let integers = matches!(dtype, Dtype::I64 | Dtype::I32);
    let most = if integers { most.min(INTEGERS) } else { most };
    let many = || bad(format!("lists more than {most} numbers"));
    let mut out: Vec<u8> = Vec::new();
    let mut count = 0_usize;
    let mut push = |out: &mut Vec<u8>, value: u64| {
        count += 1;
        match dtype {
            _ if count > most => return Err(many()),
            Dtype::I64 => out.extend(value.to_le_bytes()),
            Dtype::I32 | Dtype::F32 => out.extend((value as u32).to_le_bytes()),
            Dtype::F16 | Dtype::Bf16 | Dtype::I16 => out.extend((value as u16).to_le_bytes()),
            _ => out.push(value as u8),
        }
        Ok(())
    };
    let mut fields = Fields::new(file, range);
    while let Some((number, value)) = fields.next()? {
        let fits = match number {
            4 => dtype == Dtype::F32,
            5 => !matches!(dtype, Dtype::F32 | Dtype::F64 | Dtype::I64),
            7 => dtype == Dtype::I64,
            10 => dtype == Dtype::F64,
            _ => continue,
        };
        if !fits {
            return Err(bad("has its numbers in the field of another type"));
        }
        match (number, value) {
            (4 | 10, Value::Bytes(range)) => {
                let bytes = file.get(range).unwrap_or_default();
                if (out.len() + bytes.len()) / dtype.size().max(1) > most {
                    return Err(many());
                }
                out.extend_from_slice(bytes);
            }
            (4, Value::Four(bytes)) => push(&mut out, u32::from_le_bytes(bytes).into())?,
            (5 | 7, Value::Bytes(range)) => {
                let mut packed = Fields::new(file, range);
                while let Some(value) = packed.packed()? {
                    push(&mut out, value)?;
                }
            }
            (5 | 7, Value::Varint(value)) => push(&mut out, value)?,
            _ => return Err(bad("has its numbers in a field of another form")),
        }
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
