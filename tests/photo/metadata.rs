//! What a result's file keeps of the input's, for every pair of formats; `docs/metadata.md` has the
//! table that this test makes.

use std::fs;
use std::path::Path;

use pentimento::photo::{
    Density, Encoding, Kept, Metadata, Picture, Samples16, decode_with_metadata, encode_with,
};

/// Those that are written.
const FORMATS: [&str; 8] = ["jpg", "png", "webp", "avif", "tif", "gif", "bmp", "ppm"];
/// Those that are only read.
const READ: [&str; 2] = ["heic", "jxl"];

/// Whether a part is in a picture and its metadata, and the words that say that it is left out.
type Part = (&'static str, fn(&Picture, &Metadata) -> bool, &'static str);

const PARTS: [Part; 10] = [
    ("EXIF", |_, m| holds(m.exif.as_deref(), b"Aunt May"), "EXIF"),
    ("XMP", |_, m| holds(m.kept.xmp.as_deref(), b"wedding"), "XMP"),
    ("IPTC", |_, m| holds(m.kept.iptc.as_deref(), b"Anna"), "IPTC"),
    ("dpi", |_, m| m.kept.density == Some(Density { x: 30_000, y: 30_000 }), "size on paper"),
    ("ICC", |p, _| p.icc.is_some(), "colour profile"),
    ("16 bits", |_, m| m.deep.is_some(), "16 bits"),
    ("alpha", |p, _| p.alpha.is_some(), "transparency"),
    ("comment", |_, m| comment(m), "comment"),
    ("gamma", |_, m| chunk(m, b"gAMA"), "gamma"),
    ("texts", |_, m| m.kept.chunks.iter().any(|c| c.1.starts_with(b"Title\0")), "texts"),
];

fn holds(bytes: Option<&[u8]>, part: &[u8]) -> bool {
    bytes.is_some_and(|bytes| bytes.windows(part.len()).any(|window| window == part))
}

fn chunk(metadata: &Metadata, kind: &[u8; 4]) -> bool {
    metadata.kept.chunks.iter().any(|chunk| &chunk.0 == kind)
}

fn comment(metadata: &Metadata) -> bool {
    let text = metadata.kept.chunks.iter().any(|chunk| chunk.1.starts_with(b"Comment\0"));
    text || metadata.kept.comment.is_some()
}

/// A picture with everything that any format holds; a profile, or the gamma of a PNG.
fn full(profile: bool) -> (Picture, Metadata) {
    let (height, width) = (9, 12);
    let rgb: Vec<u16> = (0..height * width * 3).map(|i| (i * 199 % 65_536) as u16).collect();
    let alpha: Vec<u16> = (0..height * width).map(|i| (i * 601 % 65_536) as u16).collect();
    let narrow = |values: &[u16]| -> Vec<u8> {
        values.iter().map(|&v| ((u32::from(v) + 128) / 257) as u8).collect()
    };
    let icc = profile.then(|| [&[0; 16][..], b"RGB ", &[0; 108]].concat());
    let picture = Picture { height, width, rgb: narrow(&rgb), alpha: Some(narrow(&alpha)), icc };
    // Big-endian: the artist, and a directory of EXIF with a time.
    let mut exif = b"MM\0*\0\0\0\x08\0\x02\x01\x3B\0\x02\0\0\0\x09\0\0\0\x26\x87\x69\0\x04\0\0\0\x01\0\0\0\x30\0\0\0\0"
        .to_vec();
    exif.extend(b"Aunt May\0\0\0\x01\x90\x03\0\x02\0\0\0\x14\0\0\0\x42\0\0\0\0");
    exif.extend(b"1985:06:01 12:00:00\0");
    let gamma = (*b"gAMA", 100_000_u32.to_be_bytes().to_vec());
    let mut chunks = vec![(*b"tEXt", b"Title\0A wedding".to_vec())];
    if !profile {
        chunks.insert(0, gamma);
    }
    let kept = Kept {
        density: Some(Density { x: 30_000, y: 30_000 }),
        xmp: Some(b"<x:xmpmeta>wedding</x:xmpmeta>".to_vec()),
        iptc: Some(b"\x1C\x02\x78\0\x04Anna".to_vec()),
        comment: Some(b"a note".to_vec()),
        chunks,
        ..Kept::default()
    };
    let deep = Some(Samples16 { height, width, rgb, alpha: Some(alpha) });
    (picture, Metadata { exif: Some(exif), deep, kept, ..Metadata::default() })
}

/// Encodes and decodes again.
fn through(
    picture: &Picture,
    metadata: &Metadata,
    extension: &str,
) -> (Picture, Metadata, Vec<String>) {
    let name = format!("a.{extension}");
    let path = Path::new(&name);
    let encoded = encode_with(picture, metadata, path, &Encoding::default()).unwrap();
    let (picture, metadata) = decode_with_metadata(&encoded.bytes, path).unwrap();
    (picture, metadata, encoded.notes)
}

/// Pictures of a format that hold together all that it can.
fn pictures(format: &str) -> Vec<(Picture, Metadata)> {
    let read = |bytes: &[u8]| decode_with_metadata(bytes, Path::new("a")).unwrap();
    match format {
        "heic" => {
            ["phone.heic", "alpha.heic", "10-bit.heic"].map(|name| read(&stored(name))).into()
        }
        "jxl" => vec![read(&jpeg_xl(&stored("rgb.jxl"))), read(&stored("rgb16.jxl"))],
        _ => {
            let written = |profile| {
                let (picture, metadata) = full(profile);
                let (picture, metadata, _) = through(&picture, &metadata, format);
                (picture, metadata)
            };
            vec![written(true), written(false)]
        }
    }
}

/// A file of the matrix of `formats.rs`.
fn stored(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photo/formats");
    fs::read(folder.join(name)).unwrap()
}

/// The boxes around a codestream: ISO/IEC 18181-2.
fn jpeg_xl(codestream: &[u8]) -> Vec<u8> {
    assert!(codestream.starts_with(b"\xFF\x0A"), "no container");
    let exif = full(false).1.exif.unwrap();
    let boxed = |kind: &[u8; 4], data: &[u8]| {
        [&(data.len() as u32 + 8).to_be_bytes(), kind.as_slice(), data].concat()
    };
    [
        boxed(b"JXL ", b"\r\n\x87\n"),
        boxed(b"ftyp", b"jxl \0\0\0\0jxl "),
        boxed(b"Exif", &[&[0; 4], exif.as_slice()].concat()),
        boxed(b"xml ", b"<x:xmpmeta>wedding</x:xmpmeta>"),
        boxed(b"jxlc", codestream),
    ]
    .concat()
}

/// What of the parts goes from one format to another; nothing goes without a word.
fn kept(pictures: &[(Picture, Metadata)], from: &str, to: &str) -> String {
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for (picture, metadata) in pictures {
        let (after, metadata_after, notes) = through(picture, metadata, to);
        for (name, is_in, words) in PARTS {
            if !is_in(picture, metadata) {
                continue;
            }
            let list = if is_in(&after, &metadata_after) { &mut kept } else { &mut lost };
            if !list.contains(&name) {
                list.push(name);
            }
            if !is_in(&after, &metadata_after) {
                assert!(
                    notes.iter().any(|note| note.contains(words)),
                    "{from} {to} {name}: {notes:?}"
                );
            }
        }
    }
    let sorted = |list: Vec<&str>| {
        let names = PARTS.iter().map(|part| part.0).filter(|name| list.contains(name));
        names.collect::<Vec<_>>().join(", ")
    };
    let (kept, lost) = (sorted(kept), sorted(lost));
    match (kept.is_empty(), lost.is_empty()) {
        (true, true) => "nothing to keep".to_owned(),
        (_, true) => kept,
        (true, false) => format!("*not {lost}*"),
        (false, false) => format!("{kept}; *not {lost}*"),
    }
}

#[test]
fn every_pair_of_formats_keeps_what_it_can_and_says_the_rest() {
    let mut table = "| from | to | kept |\n|---|---|---|\n".to_owned();
    for from in FORMATS.into_iter().chain(READ) {
        let pictures = pictures(from);
        for to in FORMATS {
            table += &format!("| {from} | {to} | {} |\n", kept(&pictures, from, to));
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metadata.md");
    let text = fs::read_to_string(&page).unwrap_or_default();
    if std::env::var_os("PENTIMENTO_WRITE_DOCS").is_some() {
        let begin = text.find("| from | to |").unwrap_or(text.len());
        let end = text[begin..].find("\n\n").map_or(text.len(), |at| begin + at + 1);
        fs::write(&page, format!("{}{table}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert!(text.contains(&table), "docs/metadata.md lacks this table:\n{table}");
}

#[test]
fn samples_of_16_bits_go_from_format_to_format() {
    let (picture, metadata) = full(false);
    let (picture, metadata) = (Picture { alpha: None, ..picture }, {
        let deep = metadata.deep.map(|deep| Samples16 { alpha: None, ..deep });
        Metadata { deep, ..Metadata::default() }
    });
    for from in ["png", "tif", "ppm"] {
        for to in ["png", "tif", "ppm"] {
            let (first, second, _) = through(&picture, &metadata, from);
            let (_, last, _) = through(&first, &second, to);
            assert_eq!(last.deep, metadata.deep, "{from} {to}");
        }
    }
}

#[test]
fn a_jpeg_xl_keeps_exif_and_xmp() {
    let file = jpeg_xl(&stored("rgb.jxl"));
    let (picture, metadata) = decode_with_metadata(&file, Path::new("a.jxl")).unwrap();
    assert_eq!(picture.width, 29);
    assert!(holds(metadata.exif.as_deref(), b"Aunt May"));
    assert!(holds(metadata.kept.xmp.as_deref(), b"wedding"));
    assert!(picture.icc.is_some());
    for extension in ["jpg", "png", "webp", "avif", "tif"] {
        let (_, read, _) = through(&picture, &metadata, extension);
        assert!(holds(read.exif.as_deref(), b"Aunt May"), "{extension}");
        assert!(holds(read.kept.xmp.as_deref(), b"wedding"), "{extension}");
    }
}
