//! What HEIC and AVIF files hold beside their pixels, which the matrix of `formats.rs` compares.

use std::fs;
use std::path::Path;

use pentimento::photo::{Encoding, Page, Pages, ReadOptions, decode_with_metadata, encode_with};

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photo/formats");
    fs::read(folder.join(name)).unwrap()
}

fn open(bytes: Vec<u8>) -> pentimento::Result<Page> {
    Pages::open(bytes, Path::new("a"), &ReadOptions::default())?.next().expect("a picture")
}

fn holds(bytes: Option<&[u8]>, part: &[u8]) -> bool {
    bytes.is_some_and(|bytes| bytes.windows(part.len()).any(|window| window == part))
}

/// EXIF says the same turn as the file: it is turned once.
#[test]
fn a_photo_of_a_phone_keeps_what_belongs_to_it() {
    let page = open(file("phone.heic")).unwrap();
    assert_eq!((page.picture.width, page.picture.height), (100, 120));
    assert_eq!(page.notes, ["left out of the file: an HDR gain map and a further picture"]);
    for name in ["a.jpg", "a.png", "a.avif", "a.tif", "a.webp"] {
        let name = Path::new(name);
        let encoding = Encoding::default();
        let encoded = encode_with(&page.picture, &page.metadata, name, &encoding).unwrap();
        let (back, read) = decode_with_metadata(&encoded.bytes, name).unwrap();
        assert_eq!((back.width, back.height), (100, 120), "{name:?}");
        assert!(holds(read.exif.as_deref(), b"Aunt May"), "{name:?}");
        assert!(holds(read.kept.xmp.as_deref(), b"wedding"), "{name:?}");
        assert_eq!(back.icc, page.picture.icc, "{name:?}");
        assert!(back.icc.is_some());
    }
}

#[test]
fn coded_colours_become_a_profile() {
    let wide = open(file("2020.avif")).unwrap();
    assert!(holds(wide.picture.icc.as_deref(), b"RGB "), "BT.2020");
    assert_eq!(open(file("444.avif")).unwrap().picture.icc, None, "sRGB");
}

#[test]
fn an_avif_is_as_good_as_is_asked() {
    let (picture, metadata) = decode_with_metadata(&file("rgb.jxl"), Path::new("a")).unwrap();
    let error = |quality| {
        let encoding = Encoding { quality, ..Encoding::default() };
        let encoded = encode_with(&picture, &metadata, Path::new("a.avif"), &encoding).unwrap();
        let (back, _) = decode_with_metadata(&encoded.bytes, Path::new("a.avif")).unwrap();
        let pairs = back.rgb.iter().zip(&picture.rgb);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / picture.rgb.len() as f64
    };
    let [low, usual, best] = [Some(40), None, Some(100)].map(error);
    assert!(best < 1.0 && best < usual && usual < low, "{best} {usual} {low}");
}

#[test]
fn cut_and_changed_files_are_refused() {
    for name in ["420.heic", "grid.heic", "phone.heic", "420.avif", "grid.avif", "alpha.avif"] {
        let whole = file(name);
        for part in 1..10 {
            let cut = whole[..whole.len() * part / 10].to_vec();
            match open(cut) {
                // The metadata come last.
                Ok(page) => assert!(page.notes.iter().any(|note| note.contains("metadata"))),
                Err(error) => {
                    let text = error.to_string();
                    assert!(
                        text.contains("damaged") || text.contains("truncated"),
                        "{name} {text}"
                    );
                }
            }
        }
    }
    let mut sequence = file("420.avif");
    sequence[8..12].copy_from_slice(b"avis");
    let error = open(sequence).unwrap_err().to_string();
    assert!(error.contains("animation"), "{error}");
    let mut other = file("420.heic");
    let at = other.windows(4).position(|word| word == b"hvc1").unwrap();
    other[at..at + 4].copy_from_slice(b"vvc1");
    let error = open(other).unwrap_err().to_string();
    assert!(error.contains("\"vvc1\" is not read"), "{error}");
    // Where nobody may pass over what is said about a picture.
    let mut unknown = file("turned.avif");
    let at = unknown.windows(4).position(|word| word == b"irot").unwrap();
    unknown[at..at + 4].copy_from_slice(b"abcd");
    let error = open(unknown).unwrap_err().to_string();
    assert!(error.contains("\"abcd\""), "{error}");
}

/// What a file says of a picture's size is compared with what is coded: tiles that do not fit would
/// lie over each other, or leave gaps.
#[test]
fn pictures_of_another_size_than_is_told_are_refused() {
    let sides = |a: u32, b: u32| [a.to_be_bytes(), b.to_be_bytes()].concat();
    let replaced = |mut file: Vec<u8>, from: &[u8], to: &[u8]| {
        let found: Vec<usize> =
            (0..=file.len() - from.len()).filter(|&at| file[at..].starts_with(from)).collect();
        assert!(!found.is_empty());
        for at in found {
            file[at..at + to.len()].copy_from_slice(to);
        }
        file
    };
    let refused = |file: Vec<u8>, part: &str| {
        let error = open(file).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let said = |w: u32, h: u32| [b"ispe\0\0\0\0", &sides(w, h)[..]].concat();
    let grid = |w: u16, h: u16| [&[0, 0, 1, 1][..], &w.to_be_bytes(), &h.to_be_bytes()].concat();
    let told = "64×64 pixels, and the file says 48×48";
    refused(replaced(file("grid.heic"), &said(64, 64), &said(48, 48)), told);
    // The tiles, and the picture that they would be.
    let smaller = replaced(file("grid.heic"), &said(64, 64), &said(48, 48));
    let smaller = replaced(smaller, &grid(120, 100), &grid(90, 90));
    refused(replaced(smaller, &said(120, 100), &said(90, 90)), told);
    refused(replaced(file("grid.heic"), &grid(120, 100), &grid(112, 100)), "112×100 pixels");
    // A gap at its edge.
    let wider = replaced(file("grid.heic"), &grid(120, 100), &grid(140, 100));
    refused(replaced(wider, &said(120, 100), &said(140, 100)), "not sound");
    let single = open(file("420.heic")).unwrap().picture;
    let [width, height] = [single.width, single.height].map(|side| side as u32);
    let other = replaced(file("420.heic"), &said(width, height), &said(width, height + 2));
    refused(other, "and the file says");
}
