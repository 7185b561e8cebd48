//! HEIC and AVIF: containers of the same make (ISO/IEC 23008-12) around HEVC and AV1.
//!
//! `heic-decoder` reads all of HEIC. In AVIF, `rav1d` decodes AV1, and the container is read here.
//! Both ways end in the same conversion of luma and chroma to RGB.

mod av1;
mod container;
mod convert;
mod encode;
mod grid;
mod hevc;
mod left_out;
mod reader;
mod transform;
mod write;

use heic_decoder::DecodedImage;
use image::metadata::Orientation;

use super::formats::{Decoded, check_size};
use container::{Container, Item};
pub(super) use encode::encoded;
pub(super) use write::Parts;

const DAMAGED: &str = "the picture is damaged: what describes it is not sound";
const MISSING: &str = "the picture is truncated: a part of its data is missing";

/// How often a picture is cut, turned and mirrored, at most: writers do each once, and each time
/// copies it.
const MOST_TURNS: usize = 8;

/// What is said about an item that is read: all that a reader may not pass over is among it.
const PROPERTIES: [&[u8; 4]; 19] = [
    b"av1C", b"hvcC", b"ispe", b"pixi", b"colr", b"auxC", b"clap", b"irot", b"imir", b"a1op",
    b"a1lx", b"lsel", b"pasp", b"clli", b"mdcv", b"cclv", b"rloc", b"udes", b"amve",
];

/// Width and height of the picture as they are coded, before it is cut and turned.
pub(super) fn dimensions(file: &[u8]) -> Option<(u32, u32)> {
    let container = Container::open(file)?;
    let item = container.item(container.primary)?;
    if coding(&container, item)? == Coding::Av1 {
        return item.size();
    }
    let info = heic_decoder::probe(file).ok()?;
    Some((info.coded_width.try_into().ok()?, info.coded_height.try_into().ok()?))
}

/// The codec of a picture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Av1,
    Hevc,
}

/// The codec of `item`, or of what it is made of; `None` for any other.
fn coding(container: &Container, item: &Item) -> Option<Coding> {
    let mut item = item;
    // A picture that is made of one that is made of tiles.
    for _ in 0..4 {
        match &item.kind {
            b"av01" => return Some(Coding::Av1),
            b"hvc1" | b"hev1" | b"lhv1" => return Some(Coding::Hevc),
            b"grid" | b"iden" => {
                item = container.item(*container.targets(b"dimg", item.id).first()?)?;
            }
            _ => return None,
        }
    }
    None
}

/// The picture of a HEIC or AVIF file. It is upright: EXIF does not count here (HEIF, 7.2.3).
pub(super) fn read(file: &[u8]) -> Result<Decoded, String> {
    if matches!(file.get(8..12), Some(b"avis" | b"msf1" | b"hevc" | b"hevx")) {
        return Err(
            "an animation of HEIC or AVIF is not read; take its frames out first, as with \
                    `ffmpeg -i a.avif %05d.png`"
                .to_owned(),
        );
    }
    let container = Container::open(file).ok_or(DAMAGED)?;
    let item = container.item(container.primary).ok_or(DAMAGED)?;
    let is_turn = |p: &&container::Property| matches!(&p.kind, b"clap" | b"irot" | b"imir");
    if item.properties.iter().filter(is_turn).count() > MOST_TURNS {
        return Err(DAMAGED.to_owned());
    }
    let nclx = item.nclx();
    let (planes, premultiplied) = match coding(&container, item) {
        Some(Coding::Av1) => av1(&container, item)?,
        Some(Coding::Hevc) => hevc::planes(file, &container, item)?,
        None if container.targets(b"dimg", item.id).is_empty() && &item.kind == b"grid" => {
            return Err(DAMAGED.to_owned());
        }
        None => {
            // Of a grid the kind of its tiles.
            let tile = container.targets(b"dimg", item.id).first();
            let tile = tile.filter(|_| &item.kind == b"grid").and_then(|&id| container.item(id));
            return Err(format!(
                "a HEIF file with a picture of the kind \"{}\" is not read; \
                 `heif-convert a.heif a.png` saves it as PNG",
                printable(&tile.unwrap_or(item).kind)
            ));
        }
    };
    let colour = convert::Colour::of(nclx, planes.color_info);
    let mut image = convert::image(&planes, colour, premultiplied)?;
    drop(planes);
    if coding(&container, item) == Some(Coding::Av1) {
        image = transform::applied(image, item)?;
    }
    let mut notes: Vec<String> = left_out::note(&container, item).into_iter().collect();
    let exif = exif(&container, item.id);
    let is_xmp = |item: &&Item| &item.kind == b"mime" && item.content == b"application/rdf+xml";
    let xmp = container.items.iter().find(is_xmp).and_then(|item| container.data(item));
    let profile = item.profile().map(<[u8]>::to_vec);
    let icc = profile.or_else(|| colour.profile());
    notes.extend(colour.note());
    let is_cut = |item: &Item| container.data(item).is_none();
    if container.items.iter().any(|item| matches!(&item.kind, b"Exif" | b"mime") && is_cut(item)) {
        notes.push("its metadata are not whole in the file: a part was left out".to_owned());
    }
    Ok(Decoded { image, orientation: Orientation::NoTransforms, exif, icc, xmp, notes })
}

/// The planes of a picture of AV1 with its transparency, and whether colours are multiplied by that.
fn av1(container: &Container, item: &Item) -> Result<(DecodedImage, bool), String> {
    let unread = |kind: &[u8; 4]| {
        format!(
            "this kind of AVIF is not read (\"{}\"); `avifdec a.avif a.png` saves it as PNG",
            printable(kind)
        )
    };
    if &item.kind == b"iden" {
        return Err(unread(&item.kind));
    }
    let unknown = |p: &&container::Property| p.is_essential && !PROPERTIES.contains(&&p.kind);
    if let Some(property) = item.properties.iter().find(unknown) {
        return Err(unread(&property.kind));
    }
    // All layers of the first operating point are decoded, and the finest is shown.
    for (kind, usual) in [(b"a1op", &[0][..]), (b"lsel", &[0xFF; 2])] {
        if item.property(kind).is_some_and(|data| data != usual) {
            return Err(unread(kind));
        }
    }
    let size = item.size().ok_or(DAMAGED)?;
    check_size(size)?;
    let mut planes = av1::planes(container, item)?;
    let has = |planes: &DecodedImage, size: (u32, u32)| {
        (planes.width, planes.height) == (size.0 as usize, size.1 as usize)
    };
    if !has(&planes, size) {
        return Err(DAMAGED.to_owned());
    }
    let is_alpha = |item: &&Item| item.is_alpha();
    let tiles = container.targets(b"dimg", item.id);
    if tiles.iter().any(|&tile| container.sources(*b"auxl", tile).any(|aux| is_alpha(&aux))) {
        return Err("an AVIF whose tiles have a transparency each is not read; \
                    `avifdec a.avif a.png` saves it as PNG"
            .to_owned());
    }
    let Some(alpha) = container.sources(*b"auxl", item.id).find(is_alpha) else {
        return Ok((planes, false));
    };
    let found = av1::planes(container, alpha)?;
    if !has(&found, size) {
        return Err("the picture is damaged: its transparency has another size".to_owned());
    }
    let premultiplied = container.targets(b"prem", item.id).contains(&alpha.id);
    planes.alpha = Some(convert::alpha(found, premultiplied));
    Ok((planes, premultiplied))
}

/// A kind as it is said in an error.
fn printable(kind: &[u8; 4]) -> String {
    kind.iter().map(|&b| if b.is_ascii_graphic() { char::from(b) } else { '?' }).collect()
}

/// The EXIF that is about `picture`, or about no picture in particular.
fn exif(container: &Container, picture: u32) -> Option<Vec<u8>> {
    let all = || container.items.iter().filter(|item| &item.kind == b"Exif");
    let own = all().find(|item| container.targets(b"cdsc", item.id).contains(&picture));
    let data = container.data(own.or_else(|| all().next())?)?;
    let mut reader = reader::Reader(&data);
    let offset = reader.long()? as usize;
    let tiff = reader.0.get(offset..)?;
    Some(tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff).to_vec())
}
