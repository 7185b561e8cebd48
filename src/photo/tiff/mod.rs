//! TIFF files (TIFF 6.0 and its technical notes, BigTIFF): strips and tiles, together or a plane per
//! sample, in all that docs/formats.md names. Libraries in Rust refuse or misread a part of these
//! layouts, so that the layout is read here; what is packed is unpacked by libraries.

mod colours;
pub(super) mod directory;
mod layout;
mod parts;
mod samples;
mod unpack;

use image::DynamicImage;
use image::metadata::Orientation;

use super::jpeg::Fault;
use directory::{Directory, Structure};
use layout::Layout;

/// A TIFF file of which the directories were read.
pub(super) struct Tiff<'a> {
    file: Structure<'a>,
    pages: Vec<Directory>,
    /// Directories that hold a smaller copy or a mask of a page.
    left_out: usize,
}

/// One page.
pub(super) struct Page {
    pub(super) image: DynamicImage,
    pub(super) orientation: Orientation,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) notes: Vec<String>,
}

const KIND: u16 = 254;
const OLD_KIND: u16 = 255;
const PHOTOMETRIC: u16 = 262;
const COMPRESSION: u16 = 259;
const ORIENTATION: u16 = 274;
const ICC: u16 = 34_675;
const DNG_VERSION: u16 = 50_706;

impl<'a> Tiff<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (file, first) = Structure::open(bytes).ok_or("its header makes no sense")?;
        let all = file.chain(first).ok_or_else(|| {
            Fault::NotRead(format!(
                "TIFF with more than {} pages is not read; split the file first",
                directory::MOST
            ))
        })?;
        if all.is_empty() {
            return Err(Fault::NotRead(TRUNCATED.to_owned()));
        }
        let mut left = directory::MOST;
        if let Some(name) = all.iter().find_map(|directory| raw(&file, directory, &mut left)) {
            return Err(Fault::NotRead(super::unsupported_formats::raw(name)));
        }
        let count = all.len();
        let is_page = |d: &Directory| {
            // Bits: 1, a smaller copy; 4, a mask. The old field: 2, a smaller copy.
            file.value(d, KIND).unwrap_or(0) & 5 == 0 && file.value(d, OLD_KIND) != Some(2)
        };
        let pages: Vec<_> = all.into_iter().filter(is_page).collect();
        if pages.is_empty() {
            return Err(Fault::NotRead(
                "the file holds only a small copy of a picture, not the picture".to_owned(),
            ));
        }
        let left_out = count - pages.len();
        Ok(Self { file, pages, left_out })
    }

    /// The number of pages.
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Width and height of page `index`, 0 where it does not say.
    pub(super) fn dimensions(&self, index: usize) -> (u32, u32) {
        let side = |tag| {
            let value = self.pages.get(index).and_then(|page| self.file.value(page, tag));
            u32::try_from(value.unwrap_or(0)).unwrap_or(u32::MAX)
        };
        (side(256), side(257))
    }

    /// Where the directory of page `index` stands.
    pub(super) fn place(&self, index: usize) -> Option<u64> {
        self.pages.get(index).map(|page| page.at as u64)
    }

    /// Page `index`. Where it is to be `salvaged`, what is missing of it is black.
    pub(super) fn page(&self, index: usize, salvaged: bool) -> Result<Page, Fault> {
        let directory = self.pages.get(index).ok_or("it has too few pages")?;
        let mut notes = Vec::new();
        if index == 0 && self.left_out > 0 {
            notes.push(format!(
                "{} smaller copies or masks in the file are left out",
                self.left_out
            ));
        }
        let layout = Layout::read(&self.file, directory, &mut notes)?;
        let samples = parts::read(&self.file, directory, &layout, salvaged, &mut notes)?;
        let image = colours::image(&self.file, directory, &layout, samples)?;
        let orientation = self.file.value(directory, ORIENTATION);
        let orientation = orientation.and_then(|value| u8::try_from(value).ok());
        Ok(Page {
            image,
            orientation: orientation
                .and_then(Orientation::from_exif)
                .unwrap_or(Orientation::NoTransforms),
            icc: self.file.raw(directory, ICC).map(<[u8]>::to_vec),
            notes,
        })
    }
}

const TRUNCATED: &str = "the picture is truncated: its end is missing";

/// The kind of a camera's raw file: what the first directory shows is a preview. As many
/// directories below it are looked at as are `left`.
fn raw(file: &Structure, directory: &Directory, left: &mut usize) -> Option<&'static str> {
    /// A mosaic of colours as the sensor has it, and one that was put together.
    const MOSAIC: [usize; 2] = [32_803, 34_892];
    /// Packed by Sony, Nikon, Samsung, Kodak, Pentax.
    const PACKED: [usize; 7] = [32_767, 34_713, 32_770, 32_772, 32_867, 65_000, 65_535];
    if directory.entry(DNG_VERSION).is_some() {
        return Some("DNG");
    }
    if file.bytes.get(8..10) == Some(b"CR") {
        return Some("CR2");
    }
    let below = file.below(directory, left);
    let is_raw = |d: &Directory| {
        file.value(d, PHOTOMETRIC).is_some_and(|kind| MOSAIC.contains(&kind))
            || file.value(d, COMPRESSION).is_some_and(|kind| PACKED.contains(&kind))
    };
    if !is_raw(directory) && !below.iter().any(is_raw) {
        return None;
    }
    let maker = file.raw(directory, 271).unwrap_or_default().to_ascii_uppercase();
    Some(match () {
        () if maker.starts_with(b"NIKON") => "NEF",
        () if maker.starts_with(b"SONY") => "ARW",
        () if maker.starts_with(b"PENTAX") || maker.starts_with(b"RICOH") => "PEF",
        () if maker.starts_with(b"SAMSUNG") => "SRW",
        () => "TIFF inside",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian directory at `at` with these fields (tag, kind, count, value or offset).
    fn directory(fields: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
        let mut bytes = (fields.len() as u16).to_le_bytes().to_vec();
        for &(tag, kind, count, value) in fields {
            bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
        }
        bytes.extend(next.to_le_bytes());
        bytes
    }

    fn sentence(body: &[u8]) -> String {
        let file = [b"II*\0\x08\0\0\0", body].concat();
        Tiff::open(&file).err().expect("no pages").sentence()
    }

    #[test]
    fn cameras_raw_files_are_named() {
        let dng = directory(&[(DNG_VERSION, 1, 4, 0x0401)], 0);
        assert!(sentence(&dng).contains("(DNG) is not read"), "{}", sentence(&dng));
        // The picture's directory, with its maker, leads to that of the mosaic behind it.
        let fields = [(271, 2, 6, 8 + 2 + 24 + 4 + 18), (330, 4, 1, 8 + 2 + 24 + 4)];
        let mosaic = directory(&[(PHOTOMETRIC, 3, 1, 32_803)], 0);
        let nef = [directory(&fields, 0), mosaic, b"NIKON\0".to_vec()].concat();
        assert!(sentence(&nef).contains("(NEF) is not read"), "{}", sentence(&nef));
        let arw = directory(&[(COMPRESSION, 3, 1, 32_767)], 0);
        assert!(sentence(&arw).contains("raw file"), "{}", sentence(&arw));
    }

    /// A few hundred kilobytes would take gigabytes, and minutes.
    #[test]
    fn directories_on_top_of_each_other_are_refused() {
        // Each field ends with the count of a directory, and begins with the place of another.
        const FIELDS: u32 = 1 << 15;
        let mut file = b"II*\0\x08\0\0\0\0\x08".to_vec();
        for field in 0..FIELDS {
            let next = 8 + 12 * (field + 1).saturating_sub(2048);
            file.extend(next.to_le_bytes());
            file.extend([1, 0, 0, 0, 0, 0, 0, 8]);
        }
        // From there on all fields are sound.
        for first in [8, 8 + 12 * 8192_u32] {
            file[4..8].copy_from_slice(&first.to_le_bytes());
            let text = Tiff::open(&file).err().expect("too many").sentence();
            assert!(text.contains("more than 4096 pages is not read; split"), "{text}");
        }
        // One that has more fields than any.
        assert!(sentence(&directory(&[(256, 4, 1, 1); 4097], 0)).contains("truncated"));
    }

    #[test]
    fn directories_below_are_bounded() {
        // Each leads to all of them.
        let places: Vec<u8> = (0..64_u32).flat_map(|i| (8 + 18 * i).to_le_bytes()).collect();
        let one = |next| directory(&[(330, 4, 64, 8 + 18 * 64)], next);
        let all: Vec<u8> =
            (1..=64).flat_map(|i| one(if i < 64 { 8 + 18 * i } else { 0 })).collect();
        let file = [b"II*\0\x08\0\0\0".as_slice(), &all, &places].concat();
        let tiff = Tiff::open(&file).ok().unwrap();
        assert_eq!(tiff.len(), 64);
        let mut left = 100;
        let found = [0, 0, 0].map(|_| tiff.file.below(&tiff.pages[0], &mut left).len());
        assert_eq!((found, left), ([64, 36, 0], 0));
    }

    #[test]
    fn pages_are_counted_and_copies_are_not() {
        let page = |kind: u32, next: u32| directory(&[(254, 4, 1, kind)], next);
        let file =
            |directories: &[Vec<u8>]| [b"II*\0\x08\0\0\0".to_vec(), directories.concat()].concat();
        // Each directory has 18 bytes; the last one leads back to the first.
        let three = file(&[page(0, 26), page(1, 44), page(0, 8)]);
        let tiff = Tiff::open(&three).ok().unwrap();
        assert_eq!((tiff.len(), tiff.left_out), (2, 1));
        assert!(sentence(&page(1, 0)).contains("only a small copy"));
    }
}
