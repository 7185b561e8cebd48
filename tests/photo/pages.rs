//! Files with more than one picture: every one is read, none is taken for all.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, ImageFormat, Rgba, RgbaImage};
use pentimento::photo::{self, Page, PageKind, Pages, ReadOptions};

const COLOURS: [[u8; 4]; 3] = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]];

fn picture(colour: [u8; 4]) -> RgbaImage {
    RgbaImage::from_pixel(6, 4, Rgba(colour))
}

fn written(colour: [u8; 4], format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture(colour).write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn gif() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    let delay = Delay::from_saturating_duration(Duration::from_millis(120));
    let frames = COLOURS.map(|colour| Frame::from_parts(picture(colour), 0, 0, delay));
    encoder.encode_frames(frames).unwrap();
    drop(encoder);
    file
}

/// A chunk of PNG.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    let length = (data.len() as u32).to_be_bytes();
    [&length, kind.as_slice(), data, &crc.sum().to_be_bytes()].concat()
}

/// What follows in the data of all chunks of a kind.
fn data(png: &[u8], wanted: &[u8; 4]) -> Vec<u8> {
    let (mut at, mut found) = (8, Vec::new());
    while let Some(head) = png.get(at..at + 8) {
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        if &head[4..] == wanted {
            found.extend(&png[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    found
}

fn apng() -> Vec<u8> {
    let files = COLOURS.map(|colour| written(colour, ImageFormat::Png));
    let mut file = files[0][..8].to_vec();
    file.extend(chunk(b"IHDR", &data(&files[0], b"IHDR")));
    file.extend(chunk(b"acTL", &[0, 0, 0, 3, 0, 0, 0, 0]));
    let mut sequence = 0_u32;
    for (number, png) in files.iter().enumerate() {
        let mut control = sequence.to_be_bytes().to_vec();
        control.extend([0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        // 12/100 of a second; neither disposed of nor blended.
        control.extend([0, 12, 0, 100, 0, 0]);
        file.extend(chunk(b"fcTL", &control));
        sequence += 1;
        if number == 0 {
            file.extend(chunk(b"IDAT", &data(png, b"IDAT")));
        } else {
            let frame = [sequence.to_be_bytes().to_vec(), data(png, b"IDAT")].concat();
            file.extend(chunk(b"fdAT", &frame));
            sequence += 1;
        }
    }
    file.extend(chunk(b"IEND", b""));
    file
}

fn webp() -> Vec<u8> {
    let riff = |kind: &[u8; 4], data: &[u8]| {
        let mut chunk = [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    };
    // Flags: animation and transparency; the sides less 1.
    let mut body = riff(b"VP8X", &[0b1_0010, 0, 0, 0, 5, 0, 0, 3, 0, 0]);
    body.extend(riff(b"ANIM", &[0; 6]));
    for colour in COLOURS {
        let file = written(colour, ImageFormat::WebP);
        // Behind "RIFF", its length and "WEBP" stands the only chunk.
        let frame = [&[0, 0, 0, 0, 0, 0, 5, 0, 0, 3, 0, 0, 120, 0, 0, 2], &file[12..]].concat();
        body.extend(riff(b"ANMF", &frame));
    }
    let length = (body.len() as u32 + 4).to_le_bytes();
    [b"RIFF".as_slice(), &length, b"WEBP", &body].concat()
}

/// Pages of 6×4 pixels, 8-bit RGB, uncompressed.
fn tiff() -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    for (number, colour) in COLOURS.iter().enumerate() {
        let fields: [(u16, u16, u32); 7] = [
            (256, 3, 6),
            (257, 3, 4),
            (258, 3, 8),
            (262, 3, 2),
            (273, 4, 0),
            (277, 3, 3),
            (278, 3, 4),
        ];
        let end = file.len() + 2 + 12 * fields.len() + 4;
        file.extend((fields.len() as u16).to_le_bytes());
        for (tag, kind, value) in fields {
            let value = if tag == 273 { end as u32 } else { value };
            file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            file.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
        }
        let next = if number + 1 < COLOURS.len() { end + 6 * 4 * 3 } else { 0 };
        file.extend((next as u32).to_le_bytes());
        file.extend(colour[..3].repeat(6 * 4));
    }
    file
}

#[test]
fn every_page_and_frame_is_read() {
    let files = [("a.gif", gif()), ("a.png", apng()), ("a.webp", webp()), ("a.tif", tiff())];
    for (name, bytes) in files {
        let name = Path::new(name);
        let pages = Pages::open(bytes.clone(), name, &ReadOptions::default()).unwrap();
        let is_tiff = name.extension().unwrap() == "tif";
        assert_eq!((pages.len(), pages.is_several()), (3, true), "{}", name.display());
        assert_eq!(pages.kind(), if is_tiff { PageKind::Page } else { PageKind::Frame });
        let pages: Vec<Page> = pages.map(Result::unwrap).collect();
        assert_eq!(pages.len(), 3);
        for (page, colour) in pages.iter().zip(COLOURS) {
            assert_eq!((page.picture.width, page.picture.height), (6, 4));
            assert_eq!(page.picture.rgb, colour[..3].repeat(24), "{}", name.display());
            let delay = (!is_tiff).then_some(Duration::from_millis(120));
            assert_eq!(page.delay, delay);
        }
        let refused = photo::decode(&bytes, name).unwrap_err().to_string();
        assert!(refused.contains(" 3 ") && refused.contains("first"), "{refused}");
    }
}

#[test]
fn a_single_picture_has_one_page() {
    for (name, format) in [("a.png", ImageFormat::Png), ("a.webp", ImageFormat::WebP)] {
        let bytes = written(COLOURS[0], format);
        let name = Path::new(name);
        let mut pages = Pages::open(bytes.clone(), name, &ReadOptions::default()).unwrap();
        assert_eq!((pages.len(), pages.kind()), (1, PageKind::Single));
        let page = pages.next().unwrap().unwrap();
        assert_eq!(page.picture, photo::decode(&bytes, name).unwrap());
        assert!(page.notes.is_empty() && pages.next().is_none());
    }
}

#[test]
fn a_damaged_page_costs_that_page() {
    let mut bytes = tiff();
    // The second page's bits per sample become a compression that is not read.
    let second = 8 + 2 + 12 * 7 + 4 + 72;
    let field = second + 2 + 12 * 2;
    bytes[field] = 3;
    bytes[field + 8] = 6;
    let pages = Pages::open(bytes, Path::new("a.tif"), &ReadOptions::default()).unwrap();
    let read: Vec<_> = pages.collect();
    assert!(read[0].is_ok() && read[2].is_ok());
    let text = read[1].as_ref().unwrap_err().to_string();
    assert!(text.contains("page 2 of 3: TIFF with compression"), "{text}");
}
