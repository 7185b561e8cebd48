//! Faults that people reported of this kind of program: each once more, through the whole program.

use std::fs;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageBuffer, ImageEncoder as _, Rgb, RgbImage, Rgba, RgbaImage};
use pentimento::photo;

use super::support::Workspace;

/// Runs a face model that is told that there are no faces.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fs::write(workspace.path("none.json"), r#"{"faces": []}"#).unwrap();
    workspace
}

const NO_FACES: &str = "--model face.safetensors --faces none.json";

/// EXIF with one entry: the orientation 6, as SHORT or as LONG.
fn turned(kind: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
    exif.extend([kind, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    exif
}

#[test]
fn orientation_is_applied_once_however_it_is_told() {
    const SHORT: u8 = 3;
    const LONG: u8 = 4;
    let workspace = workspace();
    let wide = RgbImage::from_fn(24, 16, |x, y| Rgb([x as u8 * 9, y as u8 * 9, 90]));
    let prefixed = [b"Exif\0\0".to_vec(), turned(SHORT)].concat();
    for (name, exif) in [("plain.webp", turned(SHORT)), ("prefix.webp", prefixed)] {
        let mut file = Vec::new();
        let mut encoder = WebPEncoder::new_lossless(&mut file);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&wide, 24, 16, ExtendedColorType::Rgb8).unwrap();
        fs::write(workspace.path(name), file).unwrap();
    }
    for (name, exif) in [("short.jpg", turned(SHORT)), ("long.jpg", turned(LONG))] {
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut file, 95);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&wide, 24, 16, ExtendedColorType::Rgb8).unwrap();
        fs::write(workspace.path(name), file).unwrap();
    }
    for name in ["plain.webp", "prefix.webp", "short.jpg", "long.jpg"] {
        let run = workspace.run(&format!("restore {name} -o out/ {NO_FACES}"));
        run.succeeds();
        let result = workspace.path("out").join(name);
        let (picture, metadata) = photo::read_with_metadata(&result).unwrap();
        assert_eq!((picture.width, picture.height), (16, 24), "{name}");
        assert!(!metadata.kept.turned, "{name}");
        // The pixels themselves lie upright.
        assert_eq!(image::image_dimensions(&result).unwrap(), (16, 24), "{name}");
    }
}

#[test]
fn sixteen_bits_survive_an_enlargement() {
    let workspace = workspace();
    let ramp: ImageBuffer<Rgb<u16>, _> =
        ImageBuffer::from_fn(128, 8, |x, _| Rgb([20_000 + 30 * x as u16; 3]));
    ramp.save(workspace.path("ramp.png")).unwrap();
    workspace.run(&format!("restore ramp.png -o two.png --scale 2 {NO_FACES}")).succeeds();
    let large = image::open(workspace.path("two.png")).unwrap();
    assert_eq!(large.color().bytes_per_pixel() / large.color().channel_count(), 2);
    let levels: std::collections::BTreeSet<u16> =
        large.into_luma16().pixels().map(|pixel| pixel.0[0]).collect();
    assert!(levels.len() > 200, "{} levels", levels.len());
}

#[test]
fn what_is_transparent_leaves_no_dark_fringe() {
    let workspace = workspace();
    let disc = RgbaImage::from_fn(40, 40, |x, y| {
        let inside = (f64::from(x) - 19.5).hypot(f64::from(y) - 19.5) < 15.0;
        if inside { Rgba([250, 220, 60, 255]) } else { Rgba([0; 4]) }
    });
    disc.save(workspace.path("disc.png")).unwrap();
    workspace.run(&format!("restore disc.png -o two.png --scale 2 {NO_FACES}")).succeeds();
    let large = image::open(workspace.path("two.png")).unwrap().into_rgba8();
    assert_eq!(large.dimensions(), (80, 80));
    let visible: Vec<_> = large.pixels().filter(|pixel| pixel.0[3] >= 128).collect();
    assert!(visible.len() > 2500);
    let off = |pixel: &&Rgba<u8>| (0..3).map(|i| pixel.0[i].abs_diff([250, 220, 60][i])).max();
    assert!(visible.iter().filter_map(off).max() < Some(20));
}

#[test]
fn what_is_transparent_is_laid_on_a_colour_where_it_must() {
    let workspace = workspace();
    let clear = RgbaImage::from_pixel(32, 32, Rgba([0; 4]));
    clear.save(workspace.path("clear.png")).unwrap();
    for (option, expected) in [("", 255), ("--matte gray --force", 128)] {
        let run = workspace.run(&format!("restore clear.png -o out.jpg {NO_FACES} {option}"));
        assert!(run.succeeds().err.contains("JPEG holds no transparency"), "{}", run.err);
        let corner = image::open(workspace.path("out.jpg")).unwrap().into_rgb8().get_pixel(2, 2).0;
        assert!(corner.iter().all(|v| v.abs_diff(expected) < 4), "{corner:?}");
    }
}

#[test]
fn the_gamma_of_a_png_stays() {
    let workspace = workspace();
    let mut file = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(16, 16, Rgb([90; 3]))
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    let mut file = file.into_inner();
    let mut chunk = b"gAMA".to_vec();
    chunk.extend(100_000_u32.to_be_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(&chunk);
    let chunk = [&[0, 0, 0, 4], &chunk[..], &sum.sum().to_be_bytes()].concat();
    file.splice(33..33, chunk.clone());
    fs::write(workspace.path("gamma.png"), file).unwrap();
    workspace.run(&format!("restore gamma.png -o out.png --scale 2 {NO_FACES}")).succeeds();
    let result = fs::read(workspace.path("out.png")).unwrap();
    assert!(result.windows(chunk.len()).any(|part| part == chunk));
}

#[test]
fn a_page_of_scans_shows_them() {
    let workspace = workspace();
    workspace.picture("scans/s.tif", 40, 30);
    workspace
        .run(&format!("restore scans -o restored --html restored/index.html --scale 2 {NO_FACES}"))
        .succeeds();
    let page = fs::read_to_string(workspace.path("restored/index.html")).unwrap();
    let sources: Vec<&str> = page.split("<img ").skip(1).collect();
    assert_eq!(sources.len(), 2);
    for source in sources {
        let link = source.split("src=\"").nth(1).and_then(|s| s.split('"').next()).unwrap();
        let shown = workspace.path("restored").join(link);
        assert!(link.ends_with(".jpg") && image::image_dimensions(shown).is_ok(), "{link}");
    }
}
