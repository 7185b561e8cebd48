//! Files with more than one picture: every one is read, none is taken for all.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, ImageFormat, Rgba, RgbaImage};
use pentimento::photo::{
    self, Density, Encoding, Kept, Metadata, Page, PageKind, Pages, PagesWriter, Picture,
    ReadOptions, Samples16,
};

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
    encoder.set_repeat(Repeat::Finite(4)).unwrap();
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

/// How a frame is put on the earlier ones: its corner, and whether its place is cleared behind it.
type Place = ([u8; 2], bool);

/// Where a frame of the whole picture is, which stays.
const WHOLE: Place = ([0, 0], false);

/// An animation of PNG files, 12/100 of a second each, which are shown twice.
fn apng(frames: &[(Vec<u8>, Place)]) -> Vec<u8> {
    let count = frames.len() as u8;
    let mut file = frames[0].0[..8].to_vec();
    file.extend(chunk(b"IHDR", &data(&frames[0].0, b"IHDR")));
    file.extend(chunk(b"acTL", &[0, 0, 0, count, 0, 0, 0, 2]));
    let mut sequence = 0_u32;
    for (number, (png, ([x, y], is_cleared))) in frames.iter().enumerate() {
        let mut control = sequence.to_be_bytes().to_vec();
        control.extend(&data(png, b"IHDR")[..8]);
        control.extend([0, 0, 0, *x, 0, 0, 0, *y, 0, 12, 0, 100, u8::from(*is_cleared), 0]);
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

/// An animation of WebP files with a single chunk, 120 ms each, which are shown 7 times.
fn webp(frames: &[(Vec<u8>, Place)]) -> Vec<u8> {
    let riff = |kind: &[u8; 4], data: &[u8]| {
        let mut chunk = [kind.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    };
    // Flags: animation and transparency; the sides less 1.
    let mut body = riff(b"VP8X", &[0b1_0010, 0, 0, 0, 5, 0, 0, 3, 0, 0]);
    body.extend(riff(b"ANIM", &[0, 0, 0, 0, 7, 0]));
    for (file, ([x, y], is_cleared)) in frames {
        let size = image::load_from_memory(file).unwrap();
        let [width, height] = [size.width(), size.height()].map(|side| side as u8 - 1);
        let flags = 2 | u8::from(*is_cleared);
        let place = [x / 2, 0, 0, y / 2, 0, 0, width, 0, 0, height, 0, 0, 120, 0, 0, flags];
        // Behind "RIFF", its length and "WEBP" stands the only chunk.
        body.extend(riff(b"ANMF", &[&place, &file[12..]].concat()));
    }
    let length = (body.len() as u32 + 4).to_le_bytes();
    [b"RIFF".as_slice(), &length, b"WEBP", &body].concat()
}

/// The three colours as frames of this format.
fn frames(format: ImageFormat) -> [(Vec<u8>, Place); 3] {
    COLOURS.map(|colour| (written(colour, format), WHOLE))
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
    let files = [
        ("a.gif", gif()),
        ("a.png", apng(&frames(ImageFormat::Png))),
        ("a.webp", webp(&frames(ImageFormat::WebP))),
        ("a.tif", tiff()),
    ];
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
        assert!(refused.contains(" 3 ") && refused.contains("--page"), "{refused}");
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

/// What is seen of frames that are parts: red, with a blue spot, and with a green one, whose place the
/// blue one has left empty.
#[test]
fn frames_are_drawn_on_those_before_them() {
    let part = |colour, format| {
        let mut file = Cursor::new(Vec::new());
        RgbaImage::from_pixel(2, 2, Rgba(colour)).write_to(&mut file, format).unwrap();
        file.into_inner()
    };
    let [red, green, blue] = COLOURS;
    let all = |format| {
        let blue = (part(blue, format), ([2, 2], true));
        let green = (part(green, format), ([0, 0], false));
        [(written(red, format), WHOLE), blue, green]
    };
    let mut gif = Vec::new();
    let mut encoder = gif::Encoder::new(&mut gif, 6, 4, &[]).unwrap();
    let places = [([6, 4], [0, 0], false), ([2, 2], [2, 2], true), ([2, 2], [0, 0], false)];
    for (colour, ([width, height], [left, top], is_cleared)) in
        [red, blue, green].iter().zip(places)
    {
        let mut pixels = colour.repeat(usize::from(width * height));
        let mut frame = gif::Frame::from_rgba(width, height, &mut pixels);
        (frame.left, frame.top) = (left, top);
        if is_cleared {
            frame.dispose = gif::DisposalMethod::Background;
        }
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    let spot = |picture: &mut RgbaImage, [x, y]: [u32; 2], colour| {
        (0..4).for_each(|i| picture.put_pixel(x + i % 2, y + i / 2, Rgba(colour)));
    };
    let mut second = picture(red);
    spot(&mut second, [2, 2], blue);
    let mut third = picture(red);
    spot(&mut third, [2, 2], [0; 4]);
    spot(&mut third, [0, 0], green);
    let expected = [picture(red), second, third];
    let files = [
        ("a.gif", gif),
        ("a.png", apng(&all(ImageFormat::Png))),
        ("a.webp", webp(&all(ImageFormat::WebP))),
    ];
    for (name, file) in files {
        let seen = |page: &Page| {
            let Picture { rgb, alpha, .. } = &page.picture;
            let alpha = alpha.clone().unwrap_or(vec![255; 24]);
            let pixels = rgb.as_chunks::<3>().0.iter().zip(alpha);
            // Of a pixel that is not seen, nobody asks for the colour.
            let rgba = |(&[r, g, b], a): (&[u8; 3], u8)| if a == 0 { [0; 4] } else { [r, g, b, a] };
            pixels.flat_map(rgba).collect::<Vec<u8>>()
        };
        let pages: Vec<Page> = opened(&file, name.as_ref()).map(Result::unwrap).collect();
        for (i, (page, expected)) in pages.iter().zip(&expected).enumerate() {
            assert_eq!(seen(page), *expected.as_raw(), "{name}, frame {}", i + 1);
        }
        // One of them alone, and an earlier one again.
        let mut pages = opened(&file, name.as_ref());
        for i in [2, 1, 1, 2, 0] {
            pages.skip_to(i);
            assert_eq!(seen(&pages.next().unwrap().unwrap()), *expected[i].as_raw(), "{name} {i}");
        }
    }
}

#[test]
fn an_animation_of_sixteen_bits_is_read_with_eight() {
    let deep = [[0, 257 * 9, 65_535], [65_535, 300, 257 * 200], [30_000, 30_000, 1]];
    let frames = deep.map(|colour| {
        let mut file = Cursor::new(Vec::new());
        let image = image::ImageBuffer::<image::Rgb<u16>, _>::from_pixel(6, 4, image::Rgb(colour));
        image.write_to(&mut file, ImageFormat::Png).unwrap();
        (file.into_inner(), WHOLE)
    });
    let pages: Vec<Page> = opened(&apng(&frames), "a.png".as_ref()).map(Result::unwrap).collect();
    for (page, expected) in pages.iter().zip([[0, 9, 255], [255, 1, 200], [117, 117, 0]]) {
        assert_eq!(page.picture.rgb, expected.repeat(24));
        assert!(
            page.notes.iter().any(|note| note.contains("16 bits became 8")),
            "{:?}",
            page.notes
        );
    }
}

#[test]
fn a_cut_animation_is_refused_or_said() {
    let name = Path::new("a");
    let webp = webp(&frames(ImageFormat::WebP));
    let cut = &webp[..webp.len() - 60];
    let pages = opened(cut, name);
    let read: Vec<_> = pages.collect();
    let error = read[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("truncated"), "{error}");
    // Whole frames, of which there may have been more.
    let gif = gif();
    let first = opened(&gif[..gif.len() - 1], name).next().unwrap().unwrap();
    assert!(first.notes.iter().any(|note| note.contains("may have had more")), "{:?}", first.notes);
    assert!(opened(&gif, name).next().unwrap().unwrap().notes.is_empty());
    let second = gif.windows(2).rposition(|pair| pair == [0x21, 0xF9]).unwrap();
    let second = gif[..second].windows(2).rposition(|pair| pair == [0x21, 0xF9]).unwrap();
    let single = photo::decode_page(&gif[..second], name, &ReadOptions::default()).unwrap();
    assert!(single.notes.iter().any(|note| note.contains("may have had more")), "{single:?}");
}

/// The file that `pages` become.
fn rewritten(pages: Pages, name: &Path) -> (Vec<u8>, Vec<String>) {
    let mut file = Cursor::new(Vec::new());
    let (kind, count, plays) = (pages.kind(), pages.len(), pages.plays());
    let encoding = Encoding::default();
    let mut writer = PagesWriter::new(&mut file, name, kind, count, plays, encoding).unwrap();
    for page in pages {
        let Page { picture, metadata, delay, .. } = page.unwrap();
        writer.write(&picture, &metadata, delay).unwrap();
    }
    let notes = writer.finish().unwrap();
    (file.into_inner(), notes)
}

fn opened(bytes: &[u8], name: &Path) -> Pages {
    Pages::open(bytes, name, &ReadOptions::default()).unwrap()
}

#[test]
fn pages_and_frames_are_written_as_they_were_read() {
    let all = ["a.gif", "a.png", "a.webp"];
    let files = [
        ("a.gif", gif(), 5),
        ("a.png", apng(&frames(ImageFormat::Png)), 2),
        ("a.webp", webp(&frames(ImageFormat::WebP)), 7),
        ("a.tif", tiff(), 1),
    ];
    for (from, bytes, plays) in files {
        let to: &[&str] = if from == "a.tif" { &["a.tif"] } else { &all };
        for name in to.iter().map(Path::new) {
            let before = opened(&bytes, from.as_ref());
            assert_eq!(before.plays(), plays, "{from}");
            let (written, notes) = rewritten(opened(&bytes, from.as_ref()), name);
            assert!(notes.is_empty(), "{notes:?}");
            let after = opened(&written, name);
            assert_eq!((after.kind(), after.plays()), (before.kind(), plays), "{}", name.display());
            let [before, after] =
                [before, after].map(|p| p.map(Result::unwrap).collect::<Vec<_>>());
            assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(before.picture, after.picture, "{from} {}", name.display());
                assert_eq!(before.delay, after.delay, "{from} {}", name.display());
            }
        }
    }
}

#[test]
fn a_gif_without_loops_is_played_once() {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    encoder.encode_frames(COLOURS.map(|colour| Frame::new(picture(colour)))).unwrap();
    drop(encoder);
    let name = Path::new("a.gif");
    assert_eq!(opened(&file, name).plays(), 1);
    let (again, _) = rewritten(opened(&file, name), name);
    assert_eq!(opened(&again, name).plays(), 1);
    assert!(!again.windows(8).any(|part| part == b"NETSCAPE"));
}

#[test]
fn frames_keep_transparency_and_what_the_file_says() {
    let (height, width) = (4, 6);
    let alpha = |first: u8| Some((0..24).map(|i| if i < 6 { first } else { 255 }).collect());
    let frame = |shade: u8, first: u8| Picture {
        height,
        width,
        rgb: [shade, 9, 200].repeat(24),
        alpha: alpha(first),
        icc: None,
    };
    let kept = Kept {
        xmp: Some(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>".to_vec()),
        comment: Some(b"from a slide".to_vec()),
        ..Kept::default()
    };
    let metadata = Metadata { kept: kept.clone(), ..Metadata::default() };
    let exif = b"II*\0\x08\0\0\0\x01\0\x3B\x01\x02\0\x04\0\0\0Ada\0\0\0\0\0".to_vec();
    let delays = [Duration::from_nanos(33_333_333), Duration::from_millis(500)];
    for (to, first) in [("a.png", 100), ("a.webp", 100), ("a.gif", 0)] {
        let to = Path::new(to);
        let mut file = Cursor::new(Vec::new());
        let new = PagesWriter::new(&mut file, to, PageKind::Frame, 2, 0, Encoding::default());
        let mut writer = new.unwrap();
        let metadata = Metadata { exif: Some(exif.clone()), ..metadata.clone() };
        writer.write(&frame(10, first), &metadata, Some(delays[0])).unwrap();
        writer.write(&frame(90, first), &Metadata::default(), Some(delays[1])).unwrap();
        let notes = writer.finish().unwrap();
        let file = file.into_inner();
        let pages: Vec<Page> = opened(&file, to).map(Result::unwrap).collect();
        let is = |extension: &str| to.extension().is_some_and(|e| e == extension);
        for (page, shade) in pages.iter().zip([10, 90]) {
            assert_eq!(page.picture.alpha, alpha(first), "{}", to.display());
            assert_eq!(page.picture.rgb[18..], frame(shade, first).rgb[18..], "{}", to.display());
        }
        let first = &pages[0].metadata;
        assert_eq!(first.kept.xmp, kept.xmp, "{}", to.display());
        assert_eq!(first.exif.is_some(), !is("gif"), "{}", to.display());
        assert_eq!(notes.iter().any(|note| note.contains("EXIF")), is("gif"), "{notes:?}");
        let told = first.kept.comment.is_some()
            || first.kept.chunks.iter().any(|(_, data)| data.ends_with(b"from a slide"));
        assert_eq!(told, !is("webp"), "{}", to.display());
        assert_eq!(notes.iter().any(|note| note.contains("comment")), is("webp"), "{notes:?}");
        let sum: Duration = pages.iter().filter_map(|page| page.delay).sum();
        let all: Duration = delays.iter().sum();
        assert!(sum.abs_diff(all) <= Duration::from_millis(5), "{sum:?} {}", to.display());
        assert!(!is("png") || pages[0].delay == Some(delays[0]), "{:?}", pages[0].delay);
    }
    let refused = PagesWriter::new(
        Cursor::new(Vec::new()),
        Path::new("a.jpg"),
        PageKind::Frame,
        2,
        0,
        Encoding::default(),
    );
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("2 frames") && refused.contains(".gif, .png or .webp"), "{refused}");
}

#[test]
fn what_a_gif_cannot_hold_is_said() {
    let rgb: Vec<u8> =
        (0..40 * 40).flat_map(|i| [(i % 40 * 6) as u8, (i / 40 * 6) as u8, 7]).collect();
    let picture = Picture { height: 40, width: 40, rgb, alpha: Some(vec![200; 1600]), icc: None };
    let name = Path::new("a.gif");
    let encoded = photo::encode_with(&picture, &Metadata::default(), name, &Encoding::default());
    let encoded = encoded.unwrap();
    assert!(encoded.notes.iter().any(|note| note.contains("256 colours")), "{:?}", encoded.notes);
    assert!(encoded.notes.iter().any(|note| note.contains("half")), "{:?}", encoded.notes);
    let back = photo::decode(&encoded.bytes, name).unwrap();
    assert_eq!((back.height, back.width, back.alpha), (40, 40, None));
    let off = back.rgb.iter().zip(&picture.rgb).map(|(a, b)| u64::from(a.abs_diff(*b)));
    let mean = off.sum::<u64>() as f64 / picture.rgb.len() as f64;
    assert!(mean < 8.0, "{mean:.2}");
}

#[test]
fn every_page_keeps_its_own_metadata_and_depth() {
    let name = Path::new("a.tif");
    let artist = |name: &[u8; 8]| {
        // An artist, and a directory of EXIF with a time behind it.
        let mut exif = b"II*\0\x08\0\0\0\x02\0".to_vec();
        exif.extend(b"\x3B\x01\x02\0\x08\0\0\0\x26\0\0\0");
        exif.extend(b"\x69\x87\x04\0\x01\0\0\0\x2E\0\0\0");
        exif.extend([0; 4]);
        exif.extend(name);
        exif.extend(b"\x01\0\x03\x90\x02\0\x14\0\0\0\x40\0\0\0\0\0\0\0");
        exif.extend(b"1985:06:01 12:00:00\0");
        exif
    };
    let mut pages = Vec::new();
    for (i, owner) in [b"Ada L. \0", b"Grace H\0", b"Emmy N.\0"].into_iter().enumerate() {
        let (height, width) = (5 + i, 7 + 3 * i);
        let deep: Vec<u16> = (0..height * width * 3).map(|v| (v * 331 + i * 7) as u16).collect();
        let rgb = deep.iter().map(|v| ((u32::from(*v) + 128) / 257) as u8).collect();
        let deep = Samples16 { height, width, rgb: deep, alpha: None };
        let metadata = Metadata {
            exif: Some(artist(owner)),
            deep: (i != 1).then_some(deep),
            kept: Kept {
                density: Some(Density { x: 10_000 * (i as u32 + 1), y: 30_000 }),
                xmp: (i == 2).then(|| b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>".to_vec()),
                ..Kept::default()
            },
            ..Metadata::default()
        };
        pages.push((Picture { height, width, rgb, alpha: None, icc: None }, metadata));
    }
    let mut file = Cursor::new(Vec::new());
    let new = PagesWriter::new(&mut file, name, PageKind::Page, 3, 1, Encoding::default());
    let mut writer = new.unwrap();
    for (picture, metadata) in &pages {
        writer.write(picture, metadata, None).unwrap();
    }
    assert!(writer.finish().unwrap().is_empty());
    let file = file.into_inner();
    // Twice written, so that what was moved is moved again.
    let (again, _) = rewritten(opened(&file, name), name);
    for file in [file, again] {
        let read: Vec<Page> = opened(&file, name).map(Result::unwrap).collect();
        assert_eq!(read.len(), 3);
        for (page, (picture, metadata)) in read.iter().zip(&pages) {
            assert_eq!(page.picture, *picture);
            assert_eq!(page.metadata.deep, metadata.deep);
            assert_eq!(page.metadata.kept.density, metadata.kept.density);
            assert_eq!(page.metadata.kept.xmp, metadata.kept.xmp);
            let [exif, own] = [&page.metadata.exif, &metadata.exif].map(|e| e.as_deref().unwrap());
            for part in [&own[0x26..0x2D], b"1985:06:01 12:00:00"] {
                assert!(exif.windows(part.len()).any(|bytes| bytes == part), "{exif:?}");
            }
        }
    }
}
