//! Numbers and texts in the boxes of HEIC and AVIF: ISO/IEC 14496-12.

/// Reads big-endian numbers; every access past the end is `None`.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of 0 to 8 bytes; 0 of none.
    pub(super) fn uint(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.uint(2).map(|v| v as u16)
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        self.uint(4).map(|v| v as u32)
    }

    /// Version and flags of a full box.
    pub(super) fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.long()?;
        Some(((word >> 24) as u8, word & 0xFF_FFFF))
    }

    /// A text that ends with 0, or with the box.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts() {
        let mut reader = Reader(b"\x01\x02\x03abc\0d");
        assert_eq!(
            (reader.short(), reader.uint(0), reader.byte()),
            (Some(0x102), Some(0), Some(3))
        );
        assert_eq!((reader.text(), reader.text(), reader.long()), (&b"abc"[..], &b"d"[..], None));
    }
}
