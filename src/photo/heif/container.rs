//! The items of a HEIC or AVIF file and what is said about them: ISO/IEC 23008-12 (HEIF).

use std::collections::HashMap;

use super::reader::Reader;
use crate::photo::boxes::{Box, boxes};

/// Items of a file. A photo of a phone has some hundred.
const MOST_ITEMS: usize = 1 << 14;
/// Parts of the data of all items together: writers make one or two per item.
const MOST_EXTENTS: usize = 1 << 16;
/// Properties of all items together: an item has some ten.
const MOST_PROPERTIES: usize = 1 << 18;
/// An item has some three.
const MOST_REFERENCES: usize = 1 << 16;

/// The description of a file's pictures.
pub(super) struct Container<'a> {
    file: &'a [u8],
    /// Data that lie in the description itself.
    inner: &'a [u8],
    pub items: Vec<Item<'a>>,
    /// Where in `items` each one is; of several with a number, the first.
    places: HashMap<u32, usize>,
    pub primary: u32,
    pub references: Vec<Reference>,
    /// A film lies beside the pictures.
    pub has_film: bool,
}

/// A picture, a part of one, or metadata.
#[derive(Default)]
pub(super) struct Item<'a> {
    pub id: u32,
    pub kind: [u8; 4],
    /// The MIME type of metadata.
    pub content: &'a [u8],
    /// Not meant to be shown by itself.
    pub is_hidden: bool,
    pub in_description: bool,
    pub is_derived: bool,
    pub extents: Vec<(u64, u64)>,
    pub properties: Vec<Property<'a>>,
}

/// `from` is something of, or made of, `to`.
pub(super) struct Reference {
    pub kind: [u8; 4],
    pub from: u32,
    pub to: Vec<u32>,
}

/// What is said about an item: its kind, its box, and whether no reader may pass over it.
#[derive(Clone, Copy)]
pub(super) struct Property<'a> {
    pub kind: [u8; 4],
    pub data: &'a [u8],
    pub is_essential: bool,
}

/// How colours are coded: ISO/IEC 23091-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Nclx {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
    pub full_range: bool,
}

impl<'a> Container<'a> {
    /// `None` when the description is missing, damaged or cut.
    pub(super) fn open(file: &'a [u8]) -> Option<Self> {
        let is_film = |kind: &[u8; 4]| matches!(kind, b"moov" | b"mpvd");
        let has_film = boxes(file).any(|b| is_film(&b.kind));
        let meta = boxes(file).find(|b| &b.kind == b"meta")?.data.get(4..)?;
        let find = |kind: &[u8; 4]| boxes(meta).find(|b| &b.kind == kind).map(|b| b.data);
        let mut reader = Reader(find(b"pitm")?);
        let (version, _) = reader.version()?;
        let primary = if version == 0 { reader.short()?.into() } else { reader.long()? };
        let items = items(find(b"iinf")?)?;
        let mut places = HashMap::new();
        for (place, item) in items.iter().enumerate() {
            places.entry(item.id).or_insert(place);
        }
        let mut container = Self {
            file,
            inner: find(b"idat").unwrap_or_default(),
            items,
            places,
            primary,
            references: find(b"iref").map_or(Some(Vec::new()), references)?,
            has_film,
        };
        container.locate(find(b"iloc")?)?;
        container.describe(find(b"iprp").unwrap_or_default())?;
        Some(container)
    }

    pub(super) fn item(&self, id: u32) -> Option<&Item<'a>> {
        self.items.get(*self.places.get(&id)?)
    }

    fn item_mut(&mut self, id: u32) -> Option<&mut Item<'a>> {
        self.items.get_mut(*self.places.get(&id)?)
    }

    /// What `from` points to.
    pub(super) fn targets(&self, kind: &[u8; 4], from: u32) -> &[u32] {
        let is_it = |r: &&Reference| &r.kind == kind && r.from == from;
        self.references.iter().find(is_it).map_or(&[], |r| &r.to)
    }

    /// What points to `to`.
    pub(super) fn sources(&self, kind: [u8; 4], to: u32) -> impl Iterator<Item = &Item<'a>> {
        let is_it = move |r: &&Reference| r.kind == kind && r.to.contains(&to);
        self.references.iter().filter(is_it).filter_map(|r| self.item(r.from))
    }

    /// The data of an item. `None` where they are not in the file.
    pub(super) fn data(&self, item: &Item) -> Option<Vec<u8>> {
        if item.is_derived {
            return None;
        }
        let from = if item.in_description { self.inner } else { self.file };
        let mut data = Vec::new();
        for &(offset, length) in &item.extents {
            let rest = from.get(usize::try_from(offset).ok()?..)?;
            let part = match length {
                0 => rest,
                length => rest.get(..usize::try_from(length).ok()?)?,
            };
            // Parts that overlap could grow without end.
            if data.len() + part.len() > from.len() {
                return None;
            }
            data.extend(part);
        }
        Some(data)
    }

    /// Where the data of items are: 8.11.3 of ISO/IEC 14496-12.
    fn locate(&mut self, iloc: &[u8]) -> Option<()> {
        let mut reader = Reader(iloc);
        let (version, _) = reader.version()?;
        let sizes = reader.short()?;
        let [offset, length, base, index] =
            [12, 8, 4, 0].map(|shift| usize::from(sizes >> shift & 0xF));
        let index = if version == 0 { 0 } else { index };
        if [offset, length, base, index].iter().any(|size| ![0, 4, 8].contains(size)) {
            return None;
        }
        let id_bytes = if version < 2 { 2 } else { 4 };
        let (count, mut extents) = (reader.uint(id_bytes)?, 0);
        for _ in 0..count {
            let id = reader.uint(id_bytes)? as u32;
            let method = if version == 0 { 0 } else { reader.short()? & 0xF };
            let is_elsewhere = reader.short()? != 0;
            let base = reader.uint(base)?;
            let parts = usize::from(reader.short()?);
            extents += parts;
            if extents > MOST_EXTENTS {
                return None;
            }
            let mut all = Vec::new();
            for _ in 0..parts {
                reader.uint(index)?;
                let (at, length) = (reader.uint(offset)?, reader.uint(length)?);
                all.push((base.checked_add(at)?, length));
            }
            if let Some(item) = self.item_mut(id) {
                item.extents = all;
                item.in_description = method == 1;
                item.is_derived = method > 1 || is_elsewhere;
            }
        }
        Some(())
    }

    /// Properties, and whose they are: 9.3 of HEIF.
    fn describe(&mut self, iprp: &'a [u8]) -> Option<()> {
        let ipco = boxes(iprp).find(|b| &b.kind == b"ipco").map_or(&[][..], |b| b.data);
        let all: Vec<Box> = boxes(ipco).collect();
        let mut count = 0;
        for table in boxes(iprp).filter(|b| &b.kind == b"ipma") {
            let mut reader = Reader(table.data);
            let (version, flags) = reader.version()?;
            for _ in 0..reader.long()? {
                let id = if version == 0 { reader.short()?.into() } else { reader.long()? };
                let mut properties = Vec::new();
                let associated = reader.byte()?;
                count += usize::from(associated);
                if count > MOST_PROPERTIES {
                    return None;
                }
                for _ in 0..associated {
                    let (is_essential, number) = if flags & 1 == 0 {
                        let word = reader.byte()?;
                        (word & 0x80 != 0, usize::from(word & 0x7F))
                    } else {
                        let word = reader.short()?;
                        (word & 0x8000 != 0, usize::from(word & 0x7FFF))
                    };
                    // 0 stands for none.
                    if let Some(found) = number.checked_sub(1).and_then(|at| all.get(at)) {
                        let Box { kind, data, .. } = *found;
                        properties.push(Property { kind, data, is_essential });
                    }
                }
                if let Some(item) = self.item_mut(id) {
                    item.properties.extend(properties);
                }
            }
        }
        Some(())
    }
}

impl<'a> Item<'a> {
    /// The box of the first property of a kind.
    pub(super) fn property(&self, kind: &[u8; 4]) -> Option<&'a [u8]> {
        self.properties.iter().find(|p| &p.kind == kind).map(|p| p.data)
    }

    /// Width and height before the picture is cut and turned.
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        let mut reader = Reader(self.property(b"ispe")?);
        reader.version()?;
        Some((reader.long()?, reader.long()?))
    }

    /// How its colours are coded.
    pub(super) fn nclx(&self) -> Option<Nclx> {
        let mut reader = Reader(self.colour(&[b"nclx"])?);
        let (primaries, transfer, matrix) = (reader.short()?, reader.short()?, reader.short()?);
        Some(Nclx { primaries, transfer, matrix, full_range: reader.byte()? & 0x80 != 0 })
    }

    /// Its ICC profile.
    pub(super) fn profile(&self) -> Option<&'a [u8]> {
        self.colour(&[b"prof", b"rICC"])
    }

    /// What an auxiliary picture is, as a URN.
    pub(super) fn auxiliary(&self) -> Option<&'a [u8]> {
        Some(Reader(self.property(b"auxC")?.get(4..)?).text())
    }

    /// Whether it is the transparency of another picture.
    pub(super) fn is_alpha(&self) -> bool {
        matches!(
            self.auxiliary(),
            Some(b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha" | b"urn:mpeg:hevc:2015:auxid:1")
        )
    }

    fn colour(&self, kinds: &[&[u8; 4]]) -> Option<&'a [u8]> {
        let all = self.properties.iter().filter(|p| &p.kind == b"colr");
        let mut all = all.filter_map(|p| p.data.split_first_chunk::<4>());
        all.find(|(kind, _)| kinds.contains(kind)).map(|(_, data)| data)
    }
}

/// 8.11.6 of ISO/IEC 14496-12.
fn items(iinf: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut reader = Reader(iinf);
    let (version, _) = reader.version()?;
    reader.uint(if version == 0 { 2 } else { 4 })?;
    let mut items = Vec::new();
    for entry in boxes(reader.0).filter(|b| &b.kind == b"infe") {
        let mut reader = Reader(entry.data);
        let (version, flags) = reader.version()?;
        // Older ones have no kind.
        if !(2..=3).contains(&version) {
            continue;
        }
        let id = if version == 2 { reader.short()?.into() } else { reader.long()? };
        reader.short()?;
        let kind = *reader.take(4)?.first_chunk()?;
        reader.text();
        let content = if &kind == b"mime" { reader.text() } else { &[] };
        if items.len() == MOST_ITEMS {
            return None;
        }
        items.push(Item { id, kind, content, is_hidden: flags & 1 != 0, ..Item::default() });
    }
    Some(items)
}

/// 8.11.12 of ISO/IEC 14496-12.
fn references(iref: &[u8]) -> Option<Vec<Reference>> {
    let mut reader = Reader(iref);
    let (version, _) = reader.version()?;
    let id_bytes = if version == 0 { 2 } else { 4 };
    let mut all = Vec::new();
    for entry in boxes(reader.0) {
        if all.len() == MOST_REFERENCES {
            return None;
        }
        let mut reader = Reader(entry.data);
        let from = reader.uint(id_bytes)? as u32;
        let mut to = Vec::new();
        for _ in 0..reader.short()? {
            to.push(reader.uint(id_bytes)? as u32);
        }
        all.push(Reference { kind: entry.kind, from, to });
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn boxed(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&(data.len() as u32 + 8).to_be_bytes(), kind.as_slice(), data].concat()
    }

    /// A description of `items` items, with these tables.
    fn file(items: u16, iloc: &[u8], iref: &[u8], ipma: &[u8]) -> Vec<u8> {
        let entry = |id: u16| {
            let id = id.to_be_bytes();
            boxed(b"infe", &[&[2, 0, 0, 0], id.as_slice(), &[0, 0], b"av01", &[0]].concat())
        };
        let entries: Vec<u8> = (0..items).flat_map(entry).collect();
        let meta = [
            vec![0; 4],
            boxed(b"pitm", &[0; 6]),
            boxed(b"iinf", &[&[0; 6], entries.as_slice()].concat()),
            boxed(b"iloc", iloc),
            boxed(b"iref", iref),
            boxed(b"iprp", &[boxed(b"ipco", b""), boxed(b"ipma", ipma)].concat()),
        ];
        boxed(b"meta", &meta.concat())
    }

    /// Its cost grows with the file, not with its square.
    #[test]
    fn a_long_description_is_read_at_once() {
        const COUNT: u32 = 1 << 20;
        let last = 16_000_u16.to_be_bytes();
        // Without properties.
        let entry = [last.as_slice(), &[0]].concat();
        let count = COUNT.to_be_bytes();
        let ipma = [&[0; 4], count.as_slice(), &entry.repeat(COUNT as usize)];
        // Without parts.
        let place = [[0, 0], last, [0; 2], [0; 2], [0; 2]].concat();
        let places = [&[2, 0, 0, 0, 0, 0], count.as_slice()].concat();
        let iloc = [places, place.repeat(COUNT as usize)].concat();
        let bytes = file(16_001, &iloc, &[0; 4], &ipma.concat());
        let before = Instant::now();
        assert!(Container::open(&bytes).is_some());
        assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    }

    #[test]
    fn what_takes_memory_is_bounded() {
        let iloc = [0_u8; 8];
        let open =
            |iref: &[u8], ipma: &[u8]| Container::open(&file(2, &iloc, iref, ipma)).is_some();
        assert!(open(&[0; 4], &[0; 8]));
        let properties = |count: usize| {
            let entry = [&[0, 1, 255], [0; 255].as_slice()].concat();
            [&[0; 4], (count as u32).to_be_bytes().as_slice(), &entry.repeat(count)].concat()
        };
        let most = MOST_PROPERTIES / 255;
        assert!(open(&[0; 4], &properties(most)) && !open(&[0; 4], &properties(most + 1)));
        let references = |count: usize| {
            let entry = boxed(b"cdsc", &[0, 1, 0, 0]);
            [[0; 4].as_slice(), &entry.repeat(count)].concat()
        };
        assert!(open(&references(MOST_REFERENCES), &[0; 8]));
        assert!(!open(&references(MOST_REFERENCES + 1), &[0; 8]));
    }
}
