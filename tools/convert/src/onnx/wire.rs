//! Protocol Buffers' wire format: fields with a number and a value, one after the other. Nothing is
//! copied and nothing nests here: a message in a field is a range of bytes.

use std::ops::Range;

use crate::error::{Error, Result};

pub(super) fn bad(reason: impl Into<String>) -> Error {
    Error::Onnx { reason: reason.into() }
}

/// The value of a field.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Varint(u64),
    Four([u8; 4]),
    Eight,
    /// Where in the file its bytes are.
    Bytes(Range<usize>),
}

impl Value {
    /// An integer, negative ones included.
    pub fn int(&self) -> Result<i64> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            _ => Err(bad("a field is not the integer that it should be")),
        }
    }

    pub fn float(&self) -> Result<f32> {
        match self {
            Self::Four(bytes) => Ok(f32::from_le_bytes(*bytes)),
            _ => Err(bad("a field is not the number that it should be")),
        }
    }

    pub fn range(&self) -> Result<Range<usize>> {
        match self {
            Self::Bytes(range) => Ok(range.clone()),
            _ => Err(bad("a field is not the text or message that it should be")),
        }
    }
}

/// The fields of a message, in the order of the file.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    file: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// The message at `range` of the file.
    pub fn new(file: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(file.len());
        Self { file, at: range.start.min(end), end }
    }

    /// The next field, `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u64, Value)>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.array::<8>().map(|_| Value::Eight)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.array()?),
            _ => return Err(bad(format!("the byte at {} begins no field", self.at))),
        };
        Ok(Some((key >> 3, value)))
    }

    /// The next number of a packed list, `None` at the end.
    pub fn packed(&mut self) -> Result<Option<u64>> {
        if self.at >= self.end { Ok(None) } else { self.varint().map(Some) }
    }

    fn take(&mut self, length: u64) -> Result<Range<usize>> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        match end.filter(|&end| end <= self.end) {
            Some(end) => Ok(std::mem::replace(&mut self.at, end)..end),
            None => Err(bad(format!(
                "a field at {} is {length} bytes long and {} are left: the file is cut short or damaged, \
                 fetch it again",
                self.at,
                self.end - self.at
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let range = self.take(N as u64)?;
        let bytes = self.file.get(range).and_then(|bytes| bytes.first_chunk());
        bytes.copied().ok_or_else(|| bad("the file is cut short"))
    }

    /// Seven bits a byte, the least significant first.
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let range = self.take(1)?;
            let byte = self.file.get(range.start).copied().unwrap_or_default();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad(format!("the number before {} is longer than ten bytes", self.at)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Fields, Value};

    #[test]
    fn fields_are_read_and_bounded() {
        let file = [0x08, 0x96, 0x01, 0x12, 0x02, b'o', b'k', 0x1d, 0, 0, 0x80, 0x3f];
        let mut fields = Fields::new(&file, 0..file.len());
        assert!(matches!(fields.next().unwrap(), Some((1, Value::Varint(150)))));
        assert!(
            matches!(fields.next().unwrap(), Some((2, Value::Bytes(range))) if range == (5..7))
        );
        let (number, value) = fields.next().unwrap().unwrap();
        assert_eq!((number, value.float().unwrap()), (3, 1.0));
        assert!(fields.next().unwrap().is_none());
        // A length beyond the file, a number without an end, a wire type that does not exist.
        for file in [&[0x12, 0xff, 0x7f][..], &[0xff; 12], &[0x0b], &[0x1d, 0]] {
            assert!(Fields::new(file, 0..file.len()).next().is_err(), "{file:?}");
        }
        // The end of the message counts, not the file's.
        assert!(Fields::new(&[0x12, 0x02, 1, 2], 0..3).next().is_err());
    }
}
