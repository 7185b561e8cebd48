//! Reads numbers and byte runs from a slice, checking each against what is left.

use crate::error::{Error, Place, Result};

/// A position in `bytes` that only moves forward and never past the end.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// What `bytes` is a part of, and where in it they start: for messages.
    origin: Place,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], origin: Place) -> Self {
        Self { bytes, pos: 0, origin }
    }

    /// Bytes read so far.
    pub fn consumed(&self) -> usize {
        self.pos
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.pos
    }

    pub fn place(&self) -> Place {
        Place {
            stream: self.origin.stream,
            offset: self.origin.offset.saturating_add(self.pos as u64),
        }
    }

    /// The next `n` bytes; `what` is named if there are fewer.
    pub fn take(&mut self, n: u64, what: &'static str) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        match usize::try_from(n).ok().and_then(|n| rest.get(..n)) {
            Some(taken) => {
                self.pos += taken.len();
                Ok(taken)
            }
            None => {
                Err(Error::Truncated { what, at: self.place(), needed: n, left: rest.len() as u64 })
            }
        }
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// The bytes up to the next newline, which is read too.
    pub fn line(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            let left = rest.len() as u64;
            return Err(Error::Truncated { what, at: self.place(), needed: left + 1, left });
        };
        let line = self.take(end as u64, what)?;
        self.pos += 1;
        Ok(line)
    }
}
