//! What is fuzzed: any bytes may be refused, and whatever is read must be sound.

use std::path::Path;

use image::ImageFormat;
use pentimento::photo::{
    Encoding, GivenFace, GivenFaces, Kept, Metadata, Page, PageKind, Pages, Picture, ReadOptions,
    decode_with_metadata, dimensions, encode, encode_with, y4m::Header,
};

#[path = "models.rs"]
pub mod models;
#[path = "samples.rs"]
mod samples;

use samples::{
    bitmaps, exifs, jxls, lists_of_faces, made, matrix, pictures, pngs, several, videos, writings,
};

/// A fuzz target.
pub struct Target {
    pub name: &'static str,
    /// Panics when a reader does something wrong.
    pub run: fn(&[u8]),
    /// The seed corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What the format is made of, for changes that hit.
    pub words: &'static [&'static [u8]],
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    Target {
        name: "picture",
        run: picture,
        seeds: pictures,
        words: &[
            b"IHDR",
            b"IDAT",
            b"IEND",
            b"eXIf",
            b"iCCP",
            b"tRNS",
            b"PLTE",
            b"acTL",
            b"Exif\0\0",
            b"RIFF",
            b"VP8L",
            b"VP8X",
            b"\xFF\xDA",
            b"\xFF\xC4",
            b"\xFF\xC2",
            b"\xFF\xD9",
        ],
    },
    Target {
        name: "jpeg",
        run: jpeg,
        seeds: || matrix("jpg"),
        words: &[
            b"\xFF\xDA",
            b"\xFF\xC4",
            b"\xFF\xC0",
            b"\xFF\xC2",
            b"\xFF\xC9",
            b"\xFF\xCA",
            b"\xFF\xCC",
            b"\xFF\xD0",
            b"\xFF\xD7",
            b"\xFF\xD9",
            b"\xFF\xDB",
            b"\xFF\xDD",
        ],
    },
    Target {
        name: "tiff",
        run: picture,
        seeds: || [matrix("tif"), several("a.tif", PageKind::Page)].concat(),
        words: &[
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"\x00\x01",
            b"\x02\x01\x03\0",
            b"\x03\x01\x03\0",
            b"\x11\x01\x04\0",
            b"\x15\x01\x03\0",
            b"\x1C\x01\x03\0",
            b"\x42\x01\x04\0",
            b"\x53\x01\x03\0",
            b"\xFF\xFF\xFF\xFF",
        ],
    },
    Target {
        name: "png",
        run: png,
        seeds: pngs,
        words: &[b"IHDR", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"PLTE", b"tRNS"],
    },
    Target {
        name: "webp",
        run: picture,
        seeds: || [made(ImageFormat::WebP), several("a.webp", PageKind::Frame)].concat(),
        words: &[b"RIFF", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"EXIF"],
    },
    Target {
        name: "bitmap",
        run: picture,
        seeds: bitmaps,
        words: &[b"BM", b"P1", b"P6", b"P7\n", b"WIDTH 1", b"GIF89a", b"\x21\xF9\x04", b"\x2C"],
    },
    Target {
        name: "jxl",
        run: picture,
        seeds: jxls,
        words: &[b"\xFF\x0A", b"jxlc", b"jxlp", b"Exif", b"brob", b"\0\0\0\x0CJXL "],
    },
    Target {
        name: "heif",
        run: heif,
        seeds: || [matrix("heic"), matrix("avif")].concat(),
        words: &[
            b"meta", b"iloc", b"iinf", b"infe", b"iref", b"dimg", b"auxl", b"iprp", b"ipma",
            b"ispe", b"irot", b"clap", b"colr", b"grid", b"av01", b"hvcC",
        ],
    },
    Target {
        name: "written",
        run: written,
        seeds: writings,
        words: &[b"\xFF", b"\x06\x3F", b"\0", b"II*\0", b"tiff:Orientation", b"8BIM"],
    },
    Target {
        name: "exif",
        run: exif,
        seeds: exifs,
        words: &[b"II*\0", b"MM\0*", b"\x12\x01", b"\x01\x12", b"\x69\x87", b"\x87\x69"],
    },
    Target {
        name: "faces",
        run: faces,
        seeds: lists_of_faces,
        words: &[
            b"\"pictures\":",
            b"\"faces\":",
            b"\"landmarks\":",
            b"\"input\":",
            b"[",
            b"]",
            b"{",
            b"}",
            b",",
            b"1e999",
            b"-0.0",
            b"null",
        ],
    },
    Target {
        name: "video",
        run: video,
        seeds: videos,
        words: &[
            b"FRAME\n",
            b"\n",
            b" ",
            b" W1",
            b" H1",
            b" W4096",
            b" H0",
            b" C422",
            b" Cmono",
            b" C420p10",
            b" It",
            b" XCOLORRANGE=LIMITED",
        ],
    },
    Target {
        name: "metadata",
        run: models::metadata,
        seeds: models::configurations,
        words: &[
            b"\"size\":",
            b"\"channels\":",
            b"\"paths\":",
            b"\"path_channels\":",
            b"\"mmrb_per_level\":",
            b"\"stem_unshuffle\":",
            b"4294967296",
            b"18446744073709551615",
            b"-1",
            b"1e308",
            b"null",
            b"{\"8\":1}",
        ],
    },
    Target {
        name: "architecture",
        run: models::architecture,
        seeds: models::shapes,
        words: &[b"\0\0\0\0", b"\x01\0\x13\0", b"\x02\0\x05\xff", b"\x03\0\x02\0"],
    },
];

/// Pictures that claim more pixels are left out: the readers take up to 268 millions, which is
/// slow, not wrong.
const PIXELS: usize = 1 << 12;
/// As many has the largest grid of the matrix, in tiles that may not be smaller.
const PIXELS_OF_HEIF: usize = 1 << 15;

fn claims_more(data: &[u8], pixels: usize) -> bool {
    dimensions(data).is_some_and(|(width, height)| width.saturating_mul(height) > pixels)
}

/// From bytes to a decoded picture, and on to the files that it is written to.
pub fn picture(data: &[u8]) {
    if !claims_more(data, PIXELS) {
        read_and_written(data);
    }
}

/// HEIC and AVIF.
pub fn heif(data: &[u8]) {
    if !claims_more(data, PIXELS_OF_HEIF) {
        read_and_written(data);
    }
}

/// What is done with a file depends on its bytes, as all of it would take some times as long: every
/// other is salvaged, and every eighth is written in one of four formats.
fn read_and_written(data: &[u8]) {
    let sum = data.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    let options = ReadOptions { salvage: sum & 1 != 0 };
    let sentence = |error: &pentimento::Error| {
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    };
    let pages = match Pages::open(data, Path::new("in"), &options) {
        Ok(pages) => pages,
        Err(error) => return sentence(&error),
    };
    if pages.is_several() {
        sentence(&decode_with_metadata(data, Path::new("in")).expect_err("of several none"));
    }
    for (index, page) in pages.take(4).enumerate() {
        match page {
            Ok(page) => {
                sound(&page);
                if index == 0 && sum & 14 == 0 {
                    let name = ["a.png", "a.jpg", "a.webp", "a.tif"][usize::from(sum >> 4 & 3)];
                    through(&page, Path::new(name));
                }
            }
            Err(error) => return sentence(&error),
        }
    }
}

fn sound(page: &Page) {
    let Page { picture, metadata, notes, .. } = page;
    let pixels = picture.height * picture.width;
    assert!(pixels > 0);
    assert_eq!(picture.rgb.len(), 3 * pixels);
    assert!(picture.alpha.as_ref().is_none_or(|alpha| alpha.len() == pixels));
    if let Some(deep) = &metadata.deep {
        assert_eq!((deep.height, deep.width), (picture.height, picture.width));
        assert_eq!(deep.rgb.len(), 3 * pixels);
        assert_eq!(deep.alpha.is_some(), picture.alpha.is_some());
    }
    assert!(notes.iter().all(|note| !note.contains(char::is_control)));
}

fn through(Page { picture, metadata, .. }: &Page, name: &Path) {
    let file = encode(picture, metadata, name).expect("what was read is written");
    let (back, _) = decode_with_metadata(&file, name).expect("and read again");
    assert_eq!((back.height, back.width), (picture.height, picture.width));
    if name == Path::new("a.png") && !metadata.gray {
        assert_eq!((&back.rgb, &back.alpha), (&picture.rgb, &picture.alpha));
    }
}

/// A JPEG: what is whole shows the same when it is salvaged.
pub fn jpeg(data: &[u8]) {
    if claims_more(data, PIXELS) {
        return;
    }
    if data.len().is_multiple_of(4) {
        let read = |salvage| {
            Pages::open(data, Path::new("in"), &ReadOptions { salvage }).ok()?.next()?.ok()
        };
        if let Some(whole) = read(false) {
            let salvaged = read(true).expect("what is whole");
            assert_eq!(whole, salvaged);
        }
    }
    read_and_written(data);
}

/// A PNG whose checksums are right, whatever its chunks hold.
pub fn png(data: &[u8]) {
    let mut file = data.to_vec();
    let mut at = 8;
    while let Some(head) = file.get(at..at + 4) {
        let length = u32::from_be_bytes(head.try_into().expect("four bytes")) as usize;
        let Some(end) = at.checked_add(8 + length).filter(|end| end + 4 <= file.len()) else {
            break;
        };
        let sum = crc32(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    picture(&file);
}

/// PNG, annex D.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ (0xEDB8_8320 * (sum & 1)))
    })
}

/// EXIF in a JPEG: how it turns the picture is what its result no longer says.
pub fn exif(data: &[u8]) {
    static SEED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let seed = SEED.get_or_init(|| matrix("jpg").swap_remove(0));
    let data = &data[..data.len().min(60_000)];
    let length = (data.len() as u16 + 8).to_be_bytes();
    let file = [&seed[..2], &[0xFF, 0xE1], &length, b"Exif\0\0", data, &seed[2..]].concat();
    let (picture, metadata) = decode_with_metadata(&file, Path::new("in")).expect("a whole JPEG");
    let name = Path::new(["a.jpg", "a.png", "a.webp"][data.len() % 3]);
    let written = encode(&picture, &metadata, name).expect("what was read is written");
    let (back, _) = decode_with_metadata(&written, name).expect("and read again");
    assert_eq!((back.height, back.width), (picture.height, picture.width), "turned once");
}

/// Metadata of any bytes into each format: what the file does not hold is said, and what it holds is
/// read back as it was.
pub fn written(data: &[u8]) {
    let (&[choice, kinds], mut rest) = data.split_first_chunk().unwrap_or((&[0, 0], &[]));
    let mut part = |bit: u8| -> Option<Vec<u8>> {
        if kinds >> bit & 1 == 0 {
            return None;
        }
        let (&length, after) = rest.split_first()?;
        let (part, after) = after.split_at_checked(length.into())?;
        rest = after;
        Some(part.to_vec())
    };
    let (height, width) = (2, 3);
    let alpha = (choice & 8 != 0).then(|| vec![0, 50, 100, 150, 200, 255]);
    let icc = part(0).map(|body| [&[0; 16][..], b"RGB ", &[0; 108], &body].concat());
    let rgb = (0..18).map(|v| v * 14).collect();
    let picture = Picture { height, width, rgb, alpha, icc };
    let (exif, xmp, iptc, comment) = (part(1), part(2), part(3), part(4));
    let texts = part(5).map(|body| [b"Title\0".as_slice(), &body].concat());
    let chunks = texts.map(|text| (*b"tEXt", text)).into_iter().collect();
    let kept = Kept { xmp, iptc, comment, chunks, ..Kept::default() };
    let metadata = Metadata { exif, kept, ..Metadata::default() };
    let names = ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.ppm", "a.avif", "b.webp"];
    let name = Path::new(names[usize::from(choice & 7)]);
    let quality = name.starts_with("b.webp").then_some(80);
    let encoding = Encoding { quality, ..Encoding::default() };
    let file =
        encode_with(&picture, &metadata, name, &encoding).expect("small pictures are written");
    let (back, read) = decode_with_metadata(&file.bytes, name).expect("and read again");
    assert_eq!((back.height, back.width), (height, width));
    let said = |word: &str| file.notes.iter().any(|note| note.contains(word));
    let is_kept = |was: &Option<Vec<u8>>, is: &Option<Vec<u8>>, word| {
        let (was, is) = (was.as_ref().filter(|part| !part.is_empty()), is.as_ref());
        assert!(was.is_none() || is.is_some() || said(word), "{word} went without a word");
    };
    is_kept(&picture.icc, &back.icc, "profile");
    // A TIFF has the orientation among its own tags: EXIF that says nothing else is not missed.
    let says_little = |exif: &Vec<u8>| matches!(entries(exif), Some(0 | 1));
    let exif = metadata.exif.filter(|exif| !(name.ends_with("a.tif") && says_little(exif)));
    is_kept(&exif, &read.exif, "EXIF");
    is_kept(&metadata.kept.xmp, &read.kept.xmp, "XMP");
    is_kept(&metadata.kept.iptc, &read.kept.iptc, "IPTC");
}

/// The entries of the first directory, as the header and its count say, if it lies in `exif`.
fn entries(exif: &[u8]) -> Option<usize> {
    let little = exif.starts_with(b"II");
    let number = |bytes: &[u8]| {
        let digits = bytes.iter().map(|&byte| usize::from(byte));
        let add = |sum: usize, digit: usize| sum << 8 | digit;
        if little { digits.rev().fold(0, add) } else { digits.fold(0, add) }
    };
    let at = exif.get(4..8).map(number)?;
    exif.get(at..)?.get(..2).map(number)
}

/// The file of `--faces`.
pub fn faces(data: &[u8]) {
    let Ok(given) = GivenFaces::parse(data) else { return };
    for name in ["a.png", "x/a.png", "b.jpg", "", "..", "/"] {
        for face in given.of(Path::new(name), 0).into_iter().flatten() {
            match face {
                GivenFace::Face(face) => {
                    assert!(face.landmarks.as_flattened().iter().all(|v| v.is_finite()));
                    assert!(face.eye_distance().is_finite());
                }
                GivenFace::Box([left, top, right, bottom]) => {
                    assert!(left < right && top < bottom && (right - left).is_finite());
                }
            }
        }
    }
}

/// YUV4MPEG2: its frames as pictures, and back.
pub fn video(data: &[u8]) {
    let mut stream = data;
    let Ok(header) = Header::read(&mut stream) else { return };
    if header.width.saturating_mul(header.height) > PIXELS {
        return;
    }
    let mut written = Vec::new();
    header.write(&mut written).expect("memory takes it");
    assert_eq!(Header::read(&mut written.as_slice()).expect("a header"), header);
    while let Ok(Some(frame)) = header.read_frame(&mut stream) {
        let picture = header.picture(&frame);
        assert_eq!(picture.rgb.len(), 3 * header.width * header.height);
        let back = header.frame(&picture, Some((&frame, &picture)));
        if header.depth() == 8 {
            assert_eq!(back, frame);
        } else {
            // Samples of 16 bits may hold more than the stream's depth says; those are cut once.
            let again = header.picture(&back);
            assert_eq!(header.frame(&again, Some((&back, &again))), back);
        }
        header.frame(&picture, None);
    }
}
