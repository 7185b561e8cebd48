//! XMP of a result: that of the input, without what no longer holds.

/// `packet` for an upright picture: wherever it says how the picture is turned, it says upright.
pub(super) fn of_result(mut packet: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut from = 0;
    while let Some(found) = packet[from..].windows(NAME.len()).position(|word| word == NAME) {
        from += found + NAME.len();
        // `="6"` or `>6<`: a digit that nothing but one of these stands before.
        let rest = packet.get_mut(from..).unwrap_or_default();
        let before = rest.iter().take_while(|byte| b"=\"'> ".contains(byte)).count();
        if let [b'1'..=b'8', b'"' | b'\'' | b'<', ..] = rest[before..] {
            rest[before] = b'1';
        }
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::of_result;

    #[test]
    fn says_upright() {
        let text = "<a tiff:Orientation=\"6\"/><tiff:Orientation>8</tiff:Orientation><b>6</b>";
        let upright = "<a tiff:Orientation=\"1\"/><tiff:Orientation>1</tiff:Orientation><b>6</b>";
        assert_eq!(of_result(text.into()), upright.as_bytes());
        for text in ["tiff:Orientation", "tiff:Orientation=\"12\"", "", "tiff:Orientation=\""] {
            assert_eq!(of_result(text.into()), text.as_bytes());
        }
    }
}
