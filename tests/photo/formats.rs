//! The matrix of layouts in `formats/`, which tools/formats/make.py makes: every file shows what
//! libjpeg and libtiff show, and what is done to one is noticed.

use std::fs;
use std::path::{Path, PathBuf};

use pentimento::photo::{Page, Pages, ReadOptions};

/// One row of files.tsv.
struct Row {
    name: String,
    what: String,
    width: usize,
    height: usize,
    channels: usize,
    bits: usize,
    /// Levels that a sample may differ by; 0: the checksum tells.
    tolerance: u16,
    crc32: u32,
    /// libjpeg warns of a hole of zeros in it.
    hole_is_noticed: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/photo/formats")
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(folder().join("files.tsv")).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |index: usize| fields[index].parse().unwrap();
        Row {
            name: fields[0].to_owned(),
            what: fields[1].to_owned(),
            width: number(2),
            height: number(3),
            channels: number(4),
            bits: number(5),
            tolerance: number(6) as u16,
            crc32: u32::from_str_radix(fields[7], 16).unwrap(),
            hole_is_noticed: fields[8] == "noticed",
        }
    };
    text.lines().skip(1).map(row).collect()
}

fn open(bytes: Vec<u8>, salvage: bool) -> pentimento::Result<Page> {
    let options = ReadOptions { salvage };
    Pages::open(bytes, Path::new("a"), &options)?.next().expect("a picture")
}

/// The samples as the row has them, 16-bit ones with their most significant byte first.
fn samples(page: &Page, row: &Row) -> Vec<u8> {
    let interleaved = |rgb: &[u16], alpha: Option<&[u16]>| -> Vec<u16> {
        let pixels = rgb.as_chunks::<3>().0.iter().enumerate();
        let all = pixels.flat_map(|(at, pixel)| {
            let alpha = (row.channels == 4).then(|| alpha.map_or(u16::MAX, |alpha| alpha[at]));
            pixel.iter().copied().chain(alpha)
        });
        all.collect()
    };
    if row.bits == 16 {
        let deep = page.metadata.deep.as_ref().expect("16 bits");
        let all = interleaved(&deep.rgb, deep.alpha.as_deref());
        return all.into_iter().flat_map(u16::to_be_bytes).collect();
    }
    let wide = |samples: &Vec<u8>| samples.iter().map(|&v| v.into()).collect::<Vec<u16>>();
    let alpha = page.picture.alpha.as_ref().map(wide);
    let all = interleaved(&wide(&page.picture.rgb), alpha.as_deref());
    all.into_iter().map(|v| v.min(255) as u8).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Why the file is not read as it should be.
fn fault(row: &Row) -> Option<String> {
    let page = match open(fs::read(folder().join(&row.name)).unwrap(), false) {
        Ok(page) => page,
        Err(error) => return Some(error.to_string()),
    };
    if (page.picture.width, page.picture.height) != (row.width, row.height) {
        return Some(format!("{}×{}", page.picture.width, page.picture.height));
    }
    let found = samples(&page, row);
    if row.tolerance == 0 {
        return (crc32(&found) != row.crc32).then(|| "other pixels".to_owned());
    }
    let packed = fs::read(folder().join(format!("{}.expected", row.name))).unwrap();
    let mut expected = Vec::new();
    let mut inflater = flate2::read::ZlibDecoder::new(packed.as_slice());
    std::io::Read::read_to_end(&mut inflater, &mut expected).unwrap();
    assert_eq!(found.len(), expected.len());
    let values = |bytes: &[u8]| -> Vec<u16> {
        match row.bits {
            16 => bytes.as_chunks().0.iter().map(|v| u16::from_be_bytes(*v)).collect(),
            _ => bytes.iter().map(|&v| v.into()).collect(),
        }
    };
    let pairs = values(&found).into_iter().zip(values(&expected));
    let most = pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap();
    (most > row.tolerance).then(|| format!("pixels that differ by up to {most} levels"))
}

#[test]
fn every_layout_shows_what_the_oracles_show() {
    let all = rows();
    assert!(all.len() > 170, "{}", all.len());
    let faults: Vec<_> = all
        .iter()
        .filter_map(|row| fault(row).map(|fault| format!("{} ({}): {fault}", row.name, row.what)))
        .collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), all.len(), faults.join("\n"));
}

/// The tolerance in levels of 8 bits.
fn levels(row: &Row) -> u16 {
    if row.bits == 16 { row.tolerance / 257 } else { row.tolerance }
}

/// The table of docs/formats.md; `PENTIMENTO_WRITE_DOCS=1` writes it.
#[test]
fn the_documented_table_is_the_matrix() {
    const BEGIN: &str = "<!-- The table below is written by tests/photo/formats.rs. -->\n";
    let mut table = String::from("| File | Layout | Compared with |\n|---|---|---|\n");
    for row in rows() {
        let oracle = match row.name.rsplit('.').next() {
            Some("jpg") => "libjpeg, equal".to_owned(),
            Some("tif") if row.tolerance == 0 => "what was put in, equal".to_owned(),
            Some("tif") => format!("libtiff, up to {} levels", row.tolerance),
            Some("heic") if row.tolerance == 0 => "libheif, equal".to_owned(),
            Some("heic") => format!("libheif, up to {} levels", levels(&row)),
            Some("avif") if row.tolerance == 0 => "libavif, equal".to_owned(),
            Some("avif") => format!("libavif, up to {} levels", levels(&row)),
            Some("jxl") if row.tolerance > 0 => format!("libjxl, up to {} levels", row.tolerance),
            _ => "what was put in, equal".to_owned(),
        };
        table += &format!("| {} | {} | {oracle} |\n", row.name, row.what);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(BEGIN).expect("the place of the table");
    if std::env::var_os("PENTIMENTO_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}")).unwrap();
    } else {
        assert_eq!(after, table, "PENTIMENTO_WRITE_DOCS=1 writes it");
    }
}

fn jpegs() -> impl Iterator<Item = (Row, Vec<u8>)> {
    let is_jpeg = |row: &Row| row.name.ends_with(".jpg");
    rows().into_iter().filter(is_jpeg).map(|row| {
        let bytes = fs::read(folder().join(&row.name)).unwrap();
        (row, bytes)
    })
}

/// Where the entropy-coded data of the first scan begin.
fn data(bytes: &[u8]) -> usize {
    let at = bytes.windows(2).position(|w| w == [0xFF, 0xDA]).unwrap();
    at + 2 + usize::from(bytes[at + 3])
}

#[test]
fn a_jpeg_that_was_cut_is_refused_or_salvaged() {
    // Arithmetic coding leaves zeros at the end out: what it decodes of a part of a picture as small as
    // these may as well be the whole.
    for (row, bytes) in jpegs().filter(|(row, _)| !row.name.contains("arithmetic")) {
        let start = data(&bytes);
        for part in [1, 2, 3] {
            let end = start + (bytes.len() - start) * part / 4;
            for closed in [false, true] {
                let mut cut = bytes[..end].to_vec();
                // In the middle of a marker or a stuffed byte there is nothing to close.
                if cut.last() == Some(&0xFF) {
                    cut.pop();
                }
                if closed {
                    cut.extend([0xFF, 0xD9]);
                }
                let name = format!("{} to {end} of {} bytes, {closed}", row.name, bytes.len());
                let error = match open(cut.clone(), false) {
                    Ok(page) => {
                        // A scan more or less is no damage that can be told from the file alone.
                        let missing = page.notes.iter().any(|note| note.contains("finest detail"));
                        assert!(missing, "{name}: {:?}", page.notes);
                        continue;
                    }
                    Err(error) => error.to_string(),
                };
                assert!(
                    error.contains("truncated") || error.contains("damaged"),
                    "{name}: {error}"
                );
                let page = open(cut, true).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!((page.picture.width, page.picture.height), (row.width, row.height));
                assert!(
                    page.notes.iter().any(|n| n.contains("damaged")),
                    "{name}: {:?}",
                    page.notes
                );
            }
        }
    }
}

#[test]
fn a_jpeg_that_lacks_only_its_end_marker_is_whole() {
    for (row, bytes) in jpegs() {
        let whole = open(bytes.clone(), false).unwrap();
        let page = open(bytes[..bytes.len() - 2].to_vec(), false);
        let page = page.unwrap_or_else(|error| panic!("{}: {error}", row.name));
        assert_eq!(page.picture, whole.picture, "{}", row.name);
        assert_eq!(page.notes, ["the file lacks its end marker, and nothing else"], "{}", row.name);
    }
}

#[test]
fn a_hole_of_zeros_in_a_jpeg_is_noticed() {
    let mut holes = 0;
    for (row, bytes) in jpegs().filter(|(row, _)| row.hole_is_noticed) {
        let (start, end) = (data(&bytes), bytes.len() - 2);
        let (from, to) = (start + (end - start) / 3, start + (end - start) / 2);
        let mut hole = bytes.clone();
        hole[from..to].fill(0);
        holes += 1;
        assert!(open(hole.clone(), false).is_err(), "{}", row.name);
        // Where the hole covers a header, nothing but a word is left.
        if let Ok(page) = open(hole, true) {
            assert_eq!((page.picture.width, page.picture.height), (row.width, row.height));
            assert!(page.notes.iter().any(|n| n.contains("damaged")), "{}", row.name);
        }
    }
    assert!(holes > 60, "{holes}");
}

#[test]
fn a_tiff_that_was_cut_is_refused_or_salvaged() {
    let bytes = fs::read(folder().join("rgb-lzw.tif")).unwrap();
    let mut strips = Vec::new();
    for end in (0..bytes.len()).step_by(97) {
        let cut = bytes[..end].to_vec();
        let error = open(cut.clone(), false).unwrap_err().to_string();
        assert!(!error.contains(char::is_control), "{error}");
        if let Ok(page) = open(cut, true) {
            strips.push(page.notes.iter().any(|note| note.contains("not whole")));
        }
    }
    assert!(strips.iter().any(|&said| said), "the directory comes first");
}
