//! The boxes that HEIC and AVIF files are made of: ISO/IEC 14496-12, section 4.2.

/// A box: its kind, and what follows its header.
#[derive(Clone, Copy)]
pub(super) struct Box<'a> {
    pub kind: [u8; 4],
    pub data: &'a [u8],
}

/// The boxes in `bytes`, one after the other. The last may claim to be longer than the file: then
/// it holds what there is. What cannot be a box ends the list.
pub(super) fn boxes(bytes: &[u8]) -> impl Iterator<Item = Box<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut reader = Reader(rest);
        let short = reader.uint(4)?;
        let kind = *reader.take(4)?.first_chunk()?;
        let (header, size) = match short {
            // Up to the end of the file.
            0 => (8, rest.len() as u64),
            1 => (16, reader.uint(8)?),
            size => (8, size),
        };
        let size = usize::try_from(size).ok()?;
        if size < header {
            return None;
        }
        let data = rest.get(header..size.min(rest.len()))?;
        rest = rest.get(size..).unwrap_or_default();
        Some(Box { kind, data })
    })
}

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
    fn boxes_end_where_the_file_does() {
        let bytes = b"\0\0\0\x0Aabcdxy\0\0\0\x01long\0\0\0\0\0\0\0\x11z\0\0\0\0lastend";
        let all: Vec<_> = boxes(bytes).map(|b| (b.kind, b.data)).collect();
        assert_eq!(all, [(*b"abcd", &b"xy"[..]), (*b"long", b"z"), (*b"last", b"end")]);
        for end in 0..bytes.len() {
            assert!(boxes(&bytes[..end]).count() <= 3);
        }
        // Sizes that are less than a header, and more than memory.
        assert_eq!(boxes(b"\0\0\0\x07abcd").count(), 0);
        assert_eq!(boxes(b"\0\0\0\x01abcd\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFx").count(), 1);
    }

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
