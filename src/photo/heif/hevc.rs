//! Pictures of HEIC: one of HEVC, or a grid of them, by `heic-decoder`.
//!
//! The decoder lets the tiles of a grid have any size, overlap, and leave gaps. What the container
//! says of every size is therefore compared with what is coded, before anything is decoded.

use heic_decoder::{DecodeOptions, DecodedImage, HeifError};

use super::container::{Container, Item};
use super::grid::Grid;
use super::write::{boxed, full};
use super::{DAMAGED, MISSING, PROPERTIES, printable};
use crate::photo::formats::check_size;

/// What is said about pictures that hold further ones, of which the first is taken: ISO/IEC
/// 23008-12, annex B.
const LAYERS: [&[u8; 4]; 3] = [b"lhvC", b"oinf", b"tols"];

/// The planes of `item`, cut and turned, with its transparency, and whether colours are multiplied
/// by that.
pub(super) fn planes(
    file: &[u8],
    container: &Container,
    item: &Item,
) -> Result<(DecodedImage, bool), String> {
    let known = |kind| PROPERTIES.contains(&kind) || LAYERS.contains(&kind);
    let mut properties = item.properties.iter();
    if let Some(property) = properties.find(|p| p.is_essential && !known(&p.kind)) {
        return Err(format!(
            "this kind of HEIC is not read (\"{}\"); `heif-convert a.heic a.png` saves it as PNG",
            printable(&property.kind)
        ));
    }
    let info = heic_decoder::probe(file).map_err(describe)?;
    let size = |v: usize| u32::try_from(v).unwrap_or(u32::MAX);
    check_size((size(info.coded_width), size(info.coded_height)))?;
    check_size((size(info.width), size(info.height)))?;
    let source = source(container, item)?;
    check(container, source)?;
    for of in [item, source] {
        for alpha in container.sources(*b"auxl", of.id).filter(|aux| aux.is_alpha()) {
            check(container, self::source(container, alpha)?)?;
        }
    }
    let options = DecodeOptions { apply_transforms: true };
    let planes = heic_decoder::decode_with(file, &options).map_err(describe)?;
    let premultiplied = planes.alpha.as_ref().is_some_and(|alpha| alpha.premultiplied);
    Ok((planes, premultiplied))
}

/// The picture that `item` is, where it is another one.
fn source<'a>(container: &'a Container, item: &'a Item) -> Result<&'a Item<'a>, String> {
    let mut item = item;
    for _ in 0..4 {
        if &item.kind != b"iden" {
            return Ok(item);
        }
        let of = container.targets(b"dimg", item.id).first();
        item = of.and_then(|&id| container.item(id)).ok_or(DAMAGED)?;
    }
    Err(DAMAGED.to_owned())
}

/// Whether a picture, or the tiles of one, have the size that is told.
fn check(container: &Container, item: &Item) -> Result<(), String> {
    if &item.kind != b"grid" {
        return is_told(item, coded(item)?);
    }
    let grid = Grid::of(container, item)?;
    is_told(item, [grid.width, grid.height])?;
    let mut first = None;
    for &id in &grid.tiles {
        let tile = container.item(id).ok_or(DAMAGED)?;
        let size = coded(tile)?;
        is_told(tile, size)?;
        if *first.get_or_insert(size) != size {
            return Err("the picture is damaged: its tiles have several sizes".to_owned());
        }
    }
    let [width, height] = first.ok_or(DAMAGED)?;
    grid.check(width, height)
}

fn is_told(item: &Item, [width, height]: [usize; 2]) -> Result<(), String> {
    match item.size() {
        Some((w, h)) if [w as usize, h as usize] != [width, height] => Err(format!(
            "the picture is damaged: it has {width}×{height} pixels, and the file says {w}×{h}"
        )),
        _ => Ok(()),
    }
}

/// Width and height of a picture of HEVC, as its stream says.
fn coded(item: &Item) -> Result<[usize; 2], String> {
    let config = item.properties.iter().rfind(|p| &p.kind == b"hvcC").ok_or(DAMAGED)?;
    let info = heic_decoder::probe(&alone(config.data)).map_err(describe)?;
    Ok([info.coded_width, info.coded_height])
}

/// A file with one picture of this configuration, and no data, for the decoder's reader of headers.
fn alone(config: &[u8]) -> Vec<u8> {
    let one = 1_u16.to_be_bytes();
    let place = [&one[..], &[0; 2], &one, &[0; 8]].concat();
    let entry: [&[u8]; 4] = [&one, &[0; 2], b"hvc1", b"\0"];
    let owner: [&[u8]; 3] = [&1_u32.to_be_bytes(), &one, &[1, 1]];
    let meta = full(
        b"meta",
        0,
        &[
            &full(b"pitm", 0, &[&one]),
            &full(b"iloc", 0, &[&[0x44, 0], &one, &place]),
            &full(b"iinf", 0, &[&one, &full(b"infe", 2, &entry)]),
            &boxed(
                b"iprp",
                &[&boxed(b"ipco", &[&boxed(b"hvcC", &[config])]), &full(b"ipma", 0, &owner)],
            ),
        ],
    );
    [boxed(b"ftyp", &[b"heic", &[0; 4], b"heic"]), meta].concat()
}

fn describe(error: HeifError) -> String {
    match error {
        HeifError::Truncated { .. } => MISSING.to_owned(),
        HeifError::Unsupported(what) => format!(
            "this kind of HEIC is not read ({what}); `heif-convert a.heic a.png` saves it as PNG"
        ),
        HeifError::LimitExceeded(_) => "the picture needs too much memory to be decoded".to_owned(),
        other => format!("the picture is damaged: {other}"),
    }
}
