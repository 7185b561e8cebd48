//! What a JPEG file says beside what a result keeps of it.

use super::kept::{PHOTOSHOP_HEADER, XMP_HEADER};
use super::segments;

const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP11: u8 = 0xEB;
const APP13: u8 = 0xED;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;
/// What programs write for themselves, or what is only about the bytes of the file, by the first
/// words of a segment. The list of further pictures goes with those behind the first.
const NOT_MISSED: [&[u8]; 6] = [b"JFIF", b"JFXX", b"Adobe", b"Ducky", b"MPF", b"AVI1"];
/// The longest name of a segment that is told.
const LONGEST_NAME: usize = 16;

/// A sentence about it, where there is something.
pub(super) fn of_jpeg(file: &[u8]) -> Option<String> {
    let (mut parts, mut comments): (Vec<String>, usize) = (Vec::new(), 0);
    for segment in segments::of_jpeg(file) {
        let begins = |word: &[u8]| segment.data.starts_with(word);
        let part = match segment.marker {
            COM => {
                comments += 1;
                (comments > 1).then(|| "further comments".to_owned())
            }
            APP1 if begins(b"http://ns.adobe.com/xmp/extension/\0") => {
                Some("the long part of its XMP".to_owned())
            }
            APP1 if begins(b"Exif\0") || begins(XMP_HEADER) => None,
            APP2 if begins(b"ICC_PROFILE\0") => None,
            APP11 if begins(b"JP") => Some("its record of origin (JUMBF)".to_owned()),
            APP13 if begins(PHOTOSHOP_HEADER) => None,
            APP0..=APP15 if !NOT_MISSED.iter().any(|word| begins(word)) => {
                let is_name = |byte: &u8| byte.is_ascii_graphic();
                let name = segment.data.iter().take_while(|byte| is_name(byte));
                let name: String = name.take(LONGEST_NAME).map(|&byte| char::from(byte)).collect();
                let number = segment.marker - APP0;
                let name = if name.is_empty() { format!("APP{number}") } else { name };
                Some(format!("the data of \"{name}\""))
            }
            _ => None,
        };
        if let Some(part) = part.filter(|part| !parts.contains(part)) {
            parts.push(part);
        }
    }
    let (last, first) = parts.split_last()?;
    let and = if first.is_empty() { "" } else { " and " };
    Some(format!("left out of the file: {}{and}{last}", first.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::of_jpeg;

    fn file(segments: &[(u8, &[u8])]) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        for (marker, data) in segments {
            file.extend([0xFF, *marker]);
            file.extend((data.len() as u16 + 2).to_be_bytes());
            file.extend(*data);
        }
        file.extend([0xFF, 0xDA, 0, 2]);
        file
    }

    #[test]
    fn what_is_kept_is_not_named_and_the_rest_is() {
        let kept: [(u8, &[u8]); 7] = [
            (0xE0, b"JFIF\0\x01\x02"),
            (0xE1, b"Exif\0\0II*\0"),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
            (0xE2, b"ICC_PROFILE\0\x01\x01"),
            (0xED, b"Photoshop 3.0\08BIM"),
            (0xEE, b"Adobe\0"),
            (0xFE, b"a comment"),
        ];
        assert_eq!(of_jpeg(&file(&kept)), None);
        let extended = b"http://ns.adobe.com/xmp/extension/\x000123".as_slice();
        let lost: [(u8, &[u8]); 7] = [
            (0xFE, b"first"),
            (0xFE, b"second"),
            (0xE1, extended),
            (0xE1, extended),
            (0xE1, b"FLIR\0\x01"),
            (0xEB, b"JP\0\x01"),
            (0xE9, b"\x01\x02"),
        ];
        let text = of_jpeg(&file(&lost)).unwrap();
        assert_eq!(
            text,
            "left out of the file: further comments, the long part of its XMP, the data of \"FLIR\", \
             its record of origin (JUMBF) and the data of \"APP9\""
        );
        assert_eq!(of_jpeg(b""), None);
    }
}
