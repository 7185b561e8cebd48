//! Whether a JPEG file is whole. The decoder fills what is missing with gray and says nothing.

/// Whether the end-of-image marker of the main picture is there (ITU-T T.81, annex B).
///
/// Walks over the segments by their lengths, so that the markers of an embedded thumbnail do not
/// count. Anything after the end is ignored, as phones append data there.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    const TEM: u8 = 0x01;
    const RST0: u8 = 0xD0;
    const SOI: u8 = 0xD8;
    const EOI: u8 = 0xD9;
    let mut at = 0;
    loop {
        // Between segments, and inside entropy-coded data, everything up to the next marker is
        // skipped: FF followed by neither 00 (a stuffed byte) nor FF (fill).
        let Some(found) =
            bytes[at..].windows(2).position(|w| w[0] == 0xFF && w[1] != 0 && w[1] != 0xFF)
        else {
            return false;
        };
        let marker = bytes[at + found + 1];
        at += found + 2;
        match marker {
            EOI => return true,
            TEM | RST0..=SOI => {}
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else { return false };
                at += usize::from(u16::from_be_bytes([high, low]));
                if at > bytes.len() {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    fn file() -> Vec<u8> {
        // SOI; an APP1 segment with a thumbnail's EOI in it; a scan with a stuffed byte, a restart
        // marker and fill; EOI.
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        bytes.extend([0xFF, 0xDA, 0, 3, 0, 7, 0xFF, 0, 8, 0xFF, 0xD0, 9, 0xFF, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn whole_file_with_and_without_something_after_it() {
        assert!(is_complete(&file()));
        assert!(is_complete(&[file(), vec![1, 2, 3]].concat()));
    }

    #[test]
    fn every_shorter_file_is_incomplete() {
        let bytes = file();
        for n in 0..bytes.len() {
            assert!(!is_complete(&bytes[..n]), "{n} bytes");
        }
    }
}
