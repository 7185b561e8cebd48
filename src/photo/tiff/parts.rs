//! Puts the samples of a page together from its strips or tiles.

use super::super::allocate::filled;
use super::super::jpeg::{self, Fault, Jpeg};
use super::directory::{Directory, Structure};
use super::layout::{self, Colours, Layout, Numbers};
use super::samples::{self, Samples};
use super::unpack;

const JPEG_TABLES: u16 = 347;
/// Bytes of one unpacked part, at most: tiles may be larger than the picture.
const LARGEST_PART: usize = 1 << 31;
/// Pixels that tiles may have beside the picture's, at least.
const MOST_BESIDE: usize = 1 << 24;

/// `[height, width, samples]` of a page, whole numbers on the scale of 8 or 16 bits; indices of a
/// palette as they are.
pub(super) fn read(
    file: &Structure,
    directory: &Directory,
    layout: &Layout,
    salvaged: bool,
    notes: &mut Vec<String>,
) -> Result<Samples, Fault> {
    let count = layout.width.checked_mul(layout.height).and_then(|n| n.checked_mul(layout.samples));
    let count = count.ok_or("it is too large")?;
    let wide =
        layout.compression != layout::JPEG && (layout.bits > 8 || layout.numbers == Numbers::Float);
    let mut all =
        if wide { Samples::Words(filled(count, 0)?) } else { Samples::Bytes(filled(count, 0)?) };
    let (across, down) =
        (layout.width.div_ceil(layout.part.0), layout.height.div_ceil(layout.part.1));
    let planes = if layout.planes { layout.samples } else { 1 };
    // Small pictures in enormous tiles would cost time for nothing.
    let unpacked = (across * down).saturating_mul(layout.part.0.saturating_mul(layout.part.1));
    let pixels = (layout.width * layout.height).saturating_mul(4).max(MOST_BESIDE);
    if unpacked > pixels {
        return Err("its tiles are far larger than the picture".into());
    }
    let mut state = State { file, layout, pixels, cut: 0, missing: 0, row: Vec::new() };
    let total = planes * across * down;
    let told = total.min(layout.offsets.len());
    for index in 0..told {
        let number = index % (across * down);
        let place = Place {
            plane: index / (across * down),
            left: number % across * layout.part.0,
            top: number / across * layout.part.1,
        };
        let packed = part(file, layout, index).unwrap_or_default();
        if packed.is_empty() {
            state.missing += 1;
        } else if layout.compression == layout::JPEG {
            let tables = file.raw(directory, JPEG_TABLES);
            state.jpeg(tables, packed, &place, &mut all, salvaged)?;
        } else {
            state.unpacked(packed, &place, &mut all)?;
        }
        if state.missing > 0 && !salvaged {
            return Err(truncated(place.top, layout.height));
        }
    }
    state.missing += total - told;
    if state.missing > 0 && !salvaged {
        return Err(truncated(told / across.max(1) % down.max(1) * layout.part.1, layout.height));
    }
    if state.missing > 0 {
        notes.push(format!(
            "the picture is damaged: {} of its {total} parts are not whole; the rest was kept",
            state.missing
        ));
    }
    if state.cut > 0 {
        notes.push(format!("{} samples outside of 0 to 1 were cut to it", state.cut));
    }
    Ok(all)
}

fn truncated(row: usize, height: usize) -> Fault {
    Fault::NotRead(format!(
        "the picture is truncated: a part is missing, from row {row} of {height} on"
    ))
}

/// The bytes of part `index`, as many as the file has.
fn part<'a>(file: &Structure<'a>, layout: &Layout, index: usize) -> Option<&'a [u8]> {
    let (at, length) = (*layout.offsets.get(index)?, *layout.lengths.get(index)?);
    let end = at.saturating_add(length).min(file.bytes.len());
    file.bytes.get(at..end)
}

/// Where a part belongs.
struct Place {
    plane: usize,
    left: usize,
    top: usize,
}

struct State<'a> {
    file: &'a Structure<'a>,
    layout: &'a Layout,
    /// As many may parts that are files of their own still have: all may be the same one.
    pixels: usize,
    /// Floats outside of 0 to 1.
    cut: usize,
    /// Parts that are not whole.
    missing: usize,
    row: Vec<u32>,
}

impl State<'_> {
    /// Rows of a part that lie in the picture, and rows that it holds.
    fn rows(&self, top: usize) -> (usize, usize) {
        let inside = (self.layout.height - top).min(self.layout.part.1);
        (inside, if self.layout.tiled { self.layout.part.1 } else { inside })
    }

    fn unpacked(&mut self, packed: &[u8], place: &Place, all: &mut Samples) -> Result<(), Fault> {
        let layout = self.layout;
        let (inside, rows) = self.rows(place.top);
        let width = layout.part.0;
        let samples = if layout.planes { 1 } else { layout.samples };
        if layout.colours == Colours::YCbCr && layout.subsampling != (1, 1) {
            return self.subsampled(packed, place, all);
        }
        let line = width.checked_mul(samples * layout.bits).ok_or("it is too large")?.div_ceil(8);
        let length = line.checked_mul(rows).filter(|&n| n <= LARGEST_PART);
        let length = length.ok_or("one of its parts is too large")?;
        let (mut bytes, short) = unpack::unpack(packed, layout, (width, rows), length)?;
        // What lies below the picture may be missing.
        self.missing += usize::from(short > line * (rows - inside));
        let predicted = matches!(
            layout.compression,
            layout::LZW | layout::DEFLATE | layout::OLD_DEFLATE | layout::ZSTD
        );
        for (y, row) in bytes.chunks_exact_mut(line).take(inside).enumerate() {
            let big_endian = self.file.big_endian;
            if predicted {
                samples::undo_predictor(row, layout, big_endian, samples)?;
            }
            let count = width.min(layout.width - place.left) * samples;
            samples::numbers(row, layout, big_endian, count, &mut self.cut, &mut self.row);
            self.place(place, y, samples, all);
        }
        Ok(())
    }

    /// Puts the row of numbers into the picture.
    fn place(&self, place: &Place, y: usize, samples: usize, all: &mut Samples) {
        let layout = self.layout;
        let start = ((place.top + y) * layout.width + place.left) * layout.samples + place.plane;
        let step = if samples == 1 { layout.samples } else { 1 };
        let largest = samples::largest(layout);
        let scale = |value: u32, to: u64| {
            if layout.colours == Colours::Palette || largest == to {
                u64::from(value)
            } else {
                (u64::from(value) * to + largest / 2) / largest
            }
        };
        match all {
            Samples::Bytes(all) => {
                let to = all.get_mut(start..).unwrap_or_default().iter_mut().step_by(step);
                to.zip(&self.row).for_each(|(to, &v)| *to = scale(v, 255) as u8);
            }
            Samples::Words(all) => {
                let to = all.get_mut(start..).unwrap_or_default().iter_mut().step_by(step);
                to.zip(&self.row).for_each(|(to, &v)| *to = scale(v, 65_535) as u16);
            }
        }
    }

    /// Luma of several pixels, then their chroma (TIFF 6.0, section 21).
    fn subsampled(&mut self, packed: &[u8], place: &Place, all: &mut Samples) -> Result<(), Fault> {
        let layout = self.layout;
        let ((across, down), (inside, rows)) = (layout.subsampling, self.rows(place.top));
        let Samples::Bytes(all) = all else {
            return layout::not_read("TIFF with subsampled colours of more than 8 bits");
        };
        if layout.planes || layout.samples != 3 || layout.bits != 8 {
            return layout::not_read("TIFF with subsampled colours in planes");
        }
        let unit = across * down + 2;
        let (columns, lines) = (layout.part.0.div_ceil(across), rows.div_ceil(down));
        let length = columns.checked_mul(lines * unit).filter(|&n| n <= LARGEST_PART);
        let length = length.ok_or("one of its parts is too large")?;
        let (bytes, short) = unpack::unpack(packed, layout, (layout.part.0, rows), length)?;
        self.missing += usize::from(short > 0);
        for y in 0..inside {
            for x in 0..layout.part.0.min(layout.width - place.left) {
                let at = (y / down * columns + x / across) * unit;
                let luma = bytes[at + y % down * across + x % across];
                let chroma = at + across * down;
                let to = 3 * ((place.top + y) * layout.width + place.left + x);
                all[to..to + 3].copy_from_slice(&[luma, bytes[chroma], bytes[chroma + 1]]);
            }
        }
        Ok(())
    }

    /// A part that is a JPEG file (Adobe's technical note 2).
    fn jpeg(
        &mut self,
        tables: Option<&[u8]>,
        packed: &[u8],
        place: &Place,
        all: &mut Samples,
        salvaged: bool,
    ) -> Result<(), Fault> {
        let layout = self.layout;
        let Samples::Bytes(all) = all else { return Err("its samples cannot be JPEG".into()) };
        let jpeg = Jpeg::open(tables, packed)?;
        let (inside, _) = self.rows(place.top);
        let (width, height) = jpeg.dimensions();
        let (width, height) = (width as usize, height as usize);
        let shown = layout.part.0.min(layout.width - place.left);
        let largest = (layout.part.0.saturating_mul(layout.part.1)).max(1 << 16);
        if width < shown || height < inside || width.saturating_mul(height) > 2 * largest {
            return Err("one of its parts has another size than it says".into());
        }
        let planes = if layout.planes { layout.samples } else { 1 };
        let left = self.pixels.checked_sub(width.saturating_mul(height) / planes);
        self.pixels = left.ok_or("its tiles are far larger than the picture")?;
        let colours = match layout.colours {
            Colours::YCbCr => jpeg::Colours::YCbCr,
            _ => jpeg::Colours::Rgb,
        };
        let (image, _) = match jpeg.pixels(colours, salvaged) {
            Ok(read) => read,
            Err(Fault::Damaged(_)) if salvaged => {
                self.missing += 1;
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        let channels = usize::from(image.color().channel_count());
        let samples = if layout.planes { 1 } else { layout.samples };
        if channels != samples {
            return Err("one of its parts has another number of samples than it says".into());
        }
        let start = (place.top * layout.width + place.left) * layout.samples + place.plane;
        for (y, row) in image.as_bytes().chunks_exact(width * channels).take(inside).enumerate() {
            let to = &mut all[start + y * layout.width * layout.samples..];
            let step = if samples == 1 { layout.samples } else { 1 };
            let row = &row[..shown * channels];
            to.iter_mut().step_by(step).zip(row).for_each(|(to, &from)| *to = from);
        }
        Ok(())
    }
}
