//! AVIF files: AV1 with what belongs to it, in the boxes of ISO/IEC 23008-12 and 23000-22.

use super::container::Container;

/// What a file holds beside its pixels.
pub(in crate::photo) struct Parts<'a> {
    pub icc: Option<&'a [u8]>,
    /// A TIFF structure.
    pub exif: Option<&'a [u8]>,
    pub xmp: Option<&'a [u8]>,
}

const PICTURE: u16 = 1;
const ALPHA: u16 = 2;
const EXIF: u16 = 3;
const XMP: u16 = 4;

/// `avif`, a picture with or without transparency as `ravif` writes it, with `parts`. `None` where it
/// is not such a file, or would be larger than 4 GiB.
pub(in crate::photo) fn with_parts(avif: &[u8], parts: &Parts) -> Option<Vec<u8>> {
    let container = Container::open(avif)?;
    let picture = container.item(container.primary)?;
    let alpha = container.sources(*b"auxl", picture.id).next();
    // Of every item: number, kind, data, boxes of properties and whether each is essential.
    let mut items = vec![(PICTURE, picture.kind, container.data(picture)?, Vec::new())];
    for property in &picture.properties {
        items[0].3.push((boxed(&property.kind, &[property.data]), property.is_essential));
    }
    if let Some(icc) = parts.icc {
        items[0].3.push((boxed(b"colr", &[b"prof", icc]), false));
    }
    let mut references = Vec::new();
    if let Some(alpha) = alpha {
        let own = alpha.properties.iter();
        let own = own.map(|p| (boxed(&p.kind, &[p.data]), p.is_essential)).collect();
        items.push((ALPHA, alpha.kind, container.data(alpha)?, own));
        references.push((b"auxl", ALPHA));
    }
    if let Some(exif) = parts.exif {
        // The TIFF structure begins right behind this number.
        items.push((EXIF, *b"Exif", [&[0; 4], exif].concat(), Vec::new()));
        references.push((b"cdsc", EXIF));
    }
    if let Some(xmp) = parts.xmp {
        items.push((XMP, *b"mime", xmp.to_vec(), Vec::new()));
        references.push((b"cdsc", XMP));
    }
    let (mut entries, mut properties, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (number, kind, _, own) in &items {
        let content: &[u8] = if kind == b"mime" { b"application/rdf+xml\0" } else { b"" };
        let entry: [&[u8]; 5] = [&number.to_be_bytes(), &[0; 2], kind, b"\0", content];
        entries.extend(full(b"infe", 2, &entry));
        owners.extend(number.to_be_bytes());
        owners.push(u8::try_from(own.len()).ok()?);
        for (property, is_essential) in own {
            let known = properties.iter().position(|known| known == property);
            let at = known.unwrap_or_else(|| {
                properties.push(property.clone());
                properties.len() - 1
            });
            let at = u8::try_from(at + 1).ok().filter(|at| at & 0x80 == 0)?;
            owners.push(at | if *is_essential { 0x80 } else { 0 });
        }
    }
    let references = references.iter().map(|(kind, from)| {
        boxed(kind, &[&from.to_be_bytes(), &1_u16.to_be_bytes(), &PICTURE.to_be_bytes()])
    });
    let references = references.collect::<Vec<_>>().concat();
    let count = (items.len() as u16).to_be_bytes();
    // The places of the data depend on the size of the description, which they do not change.
    let meta = |start: u32| -> Option<Vec<u8>> {
        let (mut places, mut at) = (Vec::new(), start);
        for (number, _, data, _) in &items {
            let length = u32::try_from(data.len()).ok()?;
            let place: [&[u8]; 5] = [
                &number.to_be_bytes(),
                &[0; 2],
                &1_u16.to_be_bytes(),
                &at.to_be_bytes(),
                &length.to_be_bytes(),
            ];
            places.extend(place.concat());
            at = at.checked_add(length)?;
        }
        Some(full(
            b"meta",
            0,
            &[
                &full(b"hdlr", 0, &[&[0; 4], b"pict", &[0; 13]]),
                &full(b"pitm", 0, &[&PICTURE.to_be_bytes()]),
                &full(b"iloc", 0, &[&[0x44, 0], &count, &places]),
                &full(b"iinf", 0, &[&count, &entries]),
                &full(b"iref", 0, &[&references]),
                &boxed(
                    b"iprp",
                    &[
                        &boxed(b"ipco", &[&properties.concat()]),
                        &full(b"ipma", 0, &[&owners_count(&items), &owners]),
                    ],
                ),
            ],
        ))
    };
    let head = boxed(b"ftyp", &[b"avif", &[0; 4], b"avif", b"mif1", b"miaf"]);
    let start = u32::try_from(head.len() + meta(0)?.len() + 8).ok()?;
    let data: Vec<&[u8]> = items.iter().map(|item| item.2.as_slice()).collect();
    Some([head, meta(start)?, boxed(b"mdat", &data)].concat())
}

fn owners_count<T>(items: &[T]) -> [u8; 4] {
    (items.len() as u32).to_be_bytes()
}

/// A box of these parts.
pub(super) fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let length = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = (length as u32).to_be_bytes();
    [&[length.as_slice(), kind], parts].concat().concat()
}

/// A box with a version, and no flags.
pub(super) fn full(kind: &[u8; 4], version: u8, parts: &[&[u8]]) -> Vec<u8> {
    boxed(kind, &[&[&[version, 0, 0, 0][..]], parts].concat())
}
