//! The small files that fuzzing begins with.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat};
use pentimento::photo::{Encoding, Metadata, PageKind, PagesWriter, Picture};

/// The files of the matrix of layouts with this extension.
pub fn matrix(extension: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This file is compiled by fuzz/ and by the tests around it.
    let root = if root.ends_with("fuzz") { root.parent().unwrap_or(root) } else { root };
    let entries = std::fs::read_dir(root.join("tests/photo/formats")).expect("the matrix");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
}

/// The pictures of the matrix, and one in a container with metadata.
pub fn jxls() -> Vec<Vec<u8>> {
    let mut all = matrix("jxl");
    let boxed = |kind: &[u8; 4], data: &[u8]| {
        [&(data.len() as u32 + 8).to_be_bytes(), kind.as_slice(), data].concat()
    };
    let contained = all.iter().find(|file| file.starts_with(b"\xFF\x0A")).map(|codestream| {
        let exif = [&[0; 4], exifs().swap_remove(0).as_slice()].concat();
        // Brotli's block of three bytes as they are, and its end.
        let packed = b"xml \x20\0\x10abc\x03";
        let (first, rest) = codestream.split_at(codestream.len() / 2);
        [
            boxed(b"JXL ", b"\r\n\x87\n"),
            boxed(b"ftyp", b"jxl \0\0\0\0jxl "),
            boxed(b"Exif", &exif),
            boxed(b"jxlp", &[&[0; 4], first].concat()),
            boxed(b"jxlp", &[&[0x80, 0, 0, 1], rest].concat()),
            boxed(b"brob", packed),
        ]
        .concat()
    });
    all.extend(contained);
    all
}

/// What is made of each kind of pixels in `format`.
pub fn made(format: ImageFormat) -> Vec<Vec<u8>> {
    let bytes = (0..19 * 13 * 3).map(|i: usize| (i * 7919 % 251) as u8).collect();
    let rgb = DynamicImage::from(image::RgbImage::from_raw(19, 13, bytes).expect("its size"));
    let kinds = [
        rgb.clone(),
        rgb.to_luma8().into(),
        rgb.to_rgba8().into(),
        rgb.to_luma_alpha8().into(),
        rgb.to_rgb16().into(),
        rgb.to_rgba16().into(),
    ];
    let write = |image: &DynamicImage| {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).is_ok().then(|| file.into_inner())
    };
    kinds.iter().filter_map(write).collect()
}

/// Pages or frames in the format that `name` tells: two, and three with transparency of which the last
/// two are the same.
pub fn several(name: &str, kind: PageKind) -> Vec<Vec<u8>> {
    let (height, width) = (13, 19);
    let picture = |index: usize, is_clear: bool| {
        let value = |i: usize| ((i * 7919 + index.min(1) * 29) % 251) as u8;
        let alpha = is_clear
            .then(|| (0..height * width).map(|i| if value(i) > 125 { 255 } else { 0 }).collect());
        Picture {
            height,
            width,
            rgb: (0..3 * height * width).map(value).collect(),
            alpha,
            icc: None,
        }
    };
    let written = |(count, is_clear)| {
        let (mut file, path) = (Cursor::new(Vec::new()), Path::new(name));
        let mut writer = PagesWriter::new(&mut file, path, kind, count, 1, Encoding::default())
            .expect("a format of several");
        for index in 0..count {
            let delay = Some(Duration::from_millis(40));
            let picture = picture(index, is_clear);
            writer.write(&picture, &Metadata::default(), delay).expect("memory takes it");
        }
        writer.finish().expect("memory takes it");
        file.into_inner()
    };
    [(2, false), (3, true)].map(written).into()
}

pub fn pngs() -> Vec<Vec<u8>> {
    let mut all = made(ImageFormat::Png);
    all.extend(pictures().into_iter().filter(|file| file.starts_with(b"\x89PNG")));
    all
}

pub fn bitmaps() -> Vec<Vec<u8>> {
    let frames = several("a.gif", PageKind::Frame);
    let mut all = [made(ImageFormat::Bmp), made(ImageFormat::Pnm), matrix("gif"), frames].concat();
    all.extend(pictures().into_iter().filter(|file| file.starts_with(b"P")));
    all
}

pub fn exifs() -> Vec<Vec<u8>> {
    let kind = |order: &[u8], entries: &[u8]| [order, entries, &[0; 8]].concat();
    vec![
        kind(b"II*\0\x08\0\0\0", b"\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"),
        kind(b"II*\0\x08\0\0\0", b"\x01\0\x12\x01\x04\0\x01\0\0\0\x08\0\0\0"),
        kind(b"MM\0*\0\0\0\x08", b"\0\x01\x01\x12\0\x03\0\0\0\x01\0\x05\0\0"),
        kind(
            b"MM\0*\0\0\0\x08",
            b"\0\x02\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\x87\x69\0\x04\0\0\0\x01\0\0\0\x08",
        ),
    ]
}

/// One for each format and part, and some with all.
pub fn writings() -> Vec<Vec<u8>> {
    let exif = exifs().swap_remove(0);
    let parts: [&[u8]; 6] =
        [b"icc", &exif, b"<x tiff:Orientation=\"6\"/>", b"\x1C\x02\x78\0\x01A", b"a", b"b"];
    let block = |part: &&[u8]| [&[part.len() as u8], *part].concat();
    let all: Vec<u8> = parts.iter().flat_map(block).collect();
    let mut seeds = Vec::new();
    for choice in 0..16 {
        seeds.push([&[choice, 0x3F], all.as_slice()].concat());
        for (bit, part) in parts.iter().enumerate() {
            seeds.push([&[choice, 1 << bit], block(part).as_slice()].concat());
        }
    }
    seeds
}

pub fn pictures() -> Vec<Vec<u8>> {
    let (width, height) = (19, 13);
    let value = |i: usize| (i * 7919 % 251) as u8;
    let bytes = |count: usize| (0..count).map(value).collect::<Vec<u8>>();
    let pixels = (width * height) as usize;
    let rgb = image::RgbImage::from_raw(width, height, bytes(3 * pixels)).expect("its size");
    let rgb = DynamicImage::from(rgb);
    let mut seeds = Vec::new();
    let formats = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
    ];
    for format in formats {
        let mut file = Cursor::new(Vec::new());
        rgb.write_to(&mut file, format).expect("a format that is written");
        seeds.push(file.into_inner());
        let mut file = Cursor::new(Vec::new());
        rgb.to_luma8().write_to(&mut file, format).expect("a format that is written");
        seeds.push(file.into_inner());
    }
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        for image in [
            DynamicImage::from(rgb.to_rgba8()),
            DynamicImage::from(rgb.to_rgb16()),
            DynamicImage::from(rgb.to_rgba16()),
            DynamicImage::from(rgb.to_luma16()),
        ] {
            let mut file = Cursor::new(Vec::new());
            image.write_to(&mut file, format).expect("a format that is written");
            seeds.push(file.into_inner());
        }
    }
    // With EXIF (orientation 6) and a colour profile.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let profile = [&[0; 16][..], b"RGB ", &[0; 108]].concat();
    let mut file = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.set_exif_metadata(exif.clone()).expect("room for it");
    encoder.set_icc_profile(profile.clone()).expect("room for it");
    let png = encoder.write_image(rgb.as_bytes(), width, height, ExtendedColorType::Rgb8);
    png.expect("a picture");
    seeds.push(file);
    let mut file = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 80);
    encoder.set_exif_metadata(exif).expect("room for it");
    encoder.set_icc_profile(profile).expect("room for it");
    let jpeg = encoder.write_image(rgb.as_bytes(), width, height, ExtendedColorType::Rgb8);
    jpeg.expect("a picture");
    seeds.push(file);
    let texts: [&[u8]; 6] = [
        b"P2 2 2 255 1 2 3 4 ",
        b"P1 2 2 1 0 1 0 ",
        b"P3 1 1 255 1 2 3 ",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\nabcd",
        b"\0\0\0\x20ftypheic",
        b"GIF89a",
    ];
    seeds.extend(texts.map(<[u8]>::to_vec));
    seeds.extend(several("a.png", PageKind::Frame));
    seeds.extend(several("a.webp", PageKind::Frame));
    seeds.extend(several("a.gif", PageKind::Frame));
    seeds.extend(several("a.tif", PageKind::Page));
    seeds
}

pub fn lists_of_faces() -> Vec<Vec<u8>> {
    let face = r#"{"landmarks":[[1,2],[3,4],[5,6],[7,8],[9,1e1]],"score":0.9,"bounds":[0,0,9,9]}"#;
    let report = format!(
        r#"{{"version":"0.1.0","pictures":[{{"input":"a.png","faces":[{face}],"notes":[]}},{{"input":"x/a.png","error":"b"}},{{"input":"..","faces":[]}}]}}"#
    );
    let both = format!(r#"{{"faces":[{face},{face}],"pictures":[]}}"#);
    let nested = format!(r#"{{"faces":[{face}],"more":{}{}}}"#, "[".repeat(90), "]".repeat(90));
    let box_alone = r#"{"faces":[{"bounds":[1,2,3.5,4e2]},{"bounds":null}]}"#;
    [&report, &both, &nested, box_alone, r#"{"faces":[]}"#, "{}", "[1,\"\\u00e9\",null,true]"]
        .map(|text| text.as_bytes().to_vec())
        .into()
}

pub fn videos() -> Vec<Vec<u8>> {
    let kinds = [
        ("420jpeg", 3 * 2),
        ("420mpeg2", 3 * 2),
        ("420paldv", 3 * 2),
        ("422", 3 * 3),
        ("444", 5 * 3),
        ("mono", 0),
    ];
    let video = |(kind, chroma): (&str, usize)| {
        let head = format!("YUV4MPEG2 W5 H3 F25:1 Ip A1:1 C{kind} XCOLORRANGE=FULL\n");
        let planes: Vec<u8> = (0..15 + 2 * chroma).map(|i| (i * 37) as u8).collect();
        [head.as_bytes(), b"FRAME\n", &planes, b"FRAME Ixyz\n", &planes].concat()
    };
    kinds.map(video).into()
}
