//! The boxes that HEIC, AVIF and JPEG XL files are made of: ISO/IEC 14496-12, section 4.2.

/// A box: its kind, and what follows its header.
#[derive(Clone, Copy)]
pub(super) struct Box<'a> {
    pub kind: [u8; 4],
    pub data: &'a [u8],
    /// Whether the file holds as much of it as its header says.
    pub is_whole: bool,
}

/// The boxes in `bytes`, one after the other. The last may claim to be longer than the file: then
/// it holds what there is. What cannot be a box ends the list.
pub(super) fn boxes(bytes: &[u8]) -> impl Iterator<Item = Box<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (&short, after) = rest.split_first_chunk::<4>()?;
        let (&kind, after) = after.split_first_chunk::<4>()?;
        let (header, size) = match u32::from_be_bytes(short) {
            // Up to the end of the file.
            0 => (8, rest.len() as u64),
            1 => (16, u64::from_be_bytes(*after.first_chunk::<8>()?)),
            size => (8, size.into()),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < header {
            return None;
        }
        let data = rest.get(header..size.min(rest.len()))?;
        let is_whole = size <= rest.len();
        rest = rest.get(size..).unwrap_or_default();
        Some(Box { kind, data, is_whole })
    })
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
        let whole = |bytes| boxes(bytes).map(|b| b.is_whole).collect::<Vec<_>>();
        assert_eq!(whole(&bytes[..10]), [true]);
        assert_eq!(whole(&bytes[..9]), [false]);
        // Sizes that are less than a header, and more than memory.
        assert_eq!(boxes(b"\0\0\0\x07abcd").count(), 0);
        assert_eq!(whole(b"\0\0\0\x01abcd\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFx"), [false]);
    }
}
