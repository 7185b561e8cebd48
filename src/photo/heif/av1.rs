//! Pictures of AVIF: one of AV1, or a grid of them.

use heic_decoder::{ChromaSampling, ColorInfo, DecodedImage, Metadata};
use re_rav1d::dav1d::{Decoder, Error, PixelLayout, PlanarImageComponent, Settings, pixel};

use super::container::{Container, Item};
use super::grid::{self, Grid, Plane};
use super::{DAMAGED, MISSING};
use crate::photo::formats::check_size;
use crate::wall::panic_caught;

/// The planes of `item`, which is coded in AV1 or a grid of items that are, before it is cut and
/// turned.
pub(super) fn planes(container: &Container, item: &Item) -> Result<DecodedImage, String> {
    match &item.kind {
        b"av01" => decoded(container, item),
        b"grid" => {
            let grid = Grid::of(container, item)?;
            let tile = |index: usize| {
                let item = grid.tiles.get(index).and_then(|&id| container.item(id));
                let item = item.filter(|item| &item.kind == b"av01").ok_or(DAMAGED)?;
                decoded(container, item)
            };
            let kind =
                |p: &DecodedImage| (p.width, p.height, p.bit_depth_luma, p.chroma_format_idc);
            let first = tile(0)?;
            grid.check(first.width, first.height)?;
            let mut all = canvas(&grid, &first);
            put(&mut all, &first, &grid, 0)?;
            for index in 1..grid.tiles.len() {
                let tile = tile(index)?;
                if kind(&tile) != kind(&first) {
                    return Err("its tiles are of different kinds".to_owned());
                }
                put(&mut all, &tile, &grid, index)?;
            }
            Ok(all)
        }
        _ => Err(DAMAGED.to_owned()),
    }
}

/// The last picture in an item of AV1: of layers that refine each other, it is the finest.
fn decoded(container: &Container, item: &Item) -> Result<DecodedImage, String> {
    let data = container.data(item).ok_or(MISSING)?;
    let (width, height) = item.size().ok_or(DAMAGED)?;
    check_size((width, height))?;
    let mut settings = Settings::new();
    // Threads of its own would be outside of the wall.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    // Some bytes can claim to be a picture that fits no memory.
    settings.set_frame_size_limit(width * height);
    let mut decoder = Decoder::with_settings(&settings).map_err(|e| describe(&e))?;
    let mut last = None;
    let mut sent = decoder.send_data(data, None, None, None);
    loop {
        match decoder.get_picture() {
            Ok(picture) => last = Some(picture),
            Err(Error::Again) => {
                // No progress on either side: there is nothing more to come.
                if sent.is_ok() {
                    break;
                }
            }
            Err(error) => return Err(describe(&error)),
        }
        if let Err(error) = sent {
            if !error.is_again() {
                return Err(describe(&error));
            }
            sent = decoder.send_pending_data();
        }
    }
    let picture = last.ok_or(DAMAGED)?;
    let bits = picture.bits_per_component().map_or(picture.bit_depth(), |bits| bits.0);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (chroma_format_idc, sub_x, sub_y) = match picture.pixel_layout() {
        PixelLayout::I400 => (0, 1, 1),
        PixelLayout::I420 => (1, 2, 2),
        PixelLayout::I422 => (2, 2, 1),
        PixelLayout::I444 => (3, 1, 1),
    };
    let plane = |component, width: usize, height: usize| {
        let stride = picture.stride(component) as usize;
        let plane = picture.plane(component);
        let wide = if bits > 8 { 2 } else { 1 };
        let mut samples = Vec::with_capacity(width * height);
        for row in 0..height {
            let row = plane.get(row * stride..).and_then(|rest| rest.get(..width * wide));
            let row = row.ok_or(DAMAGED)?;
            if wide == 2 {
                let shorts = row.as_chunks::<2>().0.iter();
                samples.extend(shorts.map(|&v| i32::from(u16::from_ne_bytes(v))));
            } else {
                samples.extend(row.iter().map(|&v| i32::from(v)));
            }
        }
        Ok::<_, String>(samples)
    };
    let y = plane(PlanarImageComponent::Y, width, height)?;
    let (mut cb, mut cr, mut cb_width, mut cb_height) = (Vec::new(), Vec::new(), 0, 0);
    if chroma_format_idc != 0 {
        (cb_width, cb_height) = (width.div_ceil(sub_x), height.div_ceil(sub_y));
        cb = plane(PlanarImageComponent::U, cb_width, cb_height)?;
        cr = plane(PlanarImageComponent::V, cb_width, cb_height)?;
    }
    let color_info = ColorInfo {
        color_primaries: code(|| picture.color_primaries() as u16),
        transfer_characteristics: code(|| picture.transfer_characteristic() as u16),
        matrix_coefficients: code(|| picture.matrix_coefficients() as u16),
        full_range: matches!(picture.color_range(), pixel::YUVRange::Full),
    };
    // Between the luma samples, as libavif and browsers take it whatever the stream says.
    let middle = |sub: usize| (sub as f32 - 1.0) / 2.0;
    let chroma_sampling = ChromaSampling {
        sub_x: sub_x as u32,
        sub_y: sub_y as u32,
        origin_x: middle(sub_x),
        origin_y: middle(sub_y),
    };
    Ok(DecodedImage {
        alpha: None,
        width,
        height,
        bit_depth_luma: bits as u32,
        bit_depth_chroma: bits as u32,
        chroma_format_idc,
        color_info: Some(color_info),
        chroma_sampling,
        y,
        cb,
        cr,
        cb_width,
        cb_height,
        metadata: Metadata::default(),
    })
}

/// What a grid's tiles are put on.
fn canvas(grid: &Grid, tile: &DecodedImage) -> DecodedImage {
    let (sub_x, sub_y) = (tile.chroma_sampling.sub_x as usize, tile.chroma_sampling.sub_y as usize);
    let has_chroma = tile.chroma_format_idc != 0;
    let side = |size: usize, sub| if has_chroma { size.div_ceil(sub) } else { 0 };
    let (cb_width, cb_height) = (side(grid.width, sub_x), side(grid.height, sub_y));
    DecodedImage {
        alpha: None,
        width: grid.width,
        height: grid.height,
        bit_depth_luma: tile.bit_depth_luma,
        bit_depth_chroma: tile.bit_depth_chroma,
        chroma_format_idc: tile.chroma_format_idc,
        color_info: tile.color_info,
        chroma_sampling: tile.chroma_sampling,
        y: vec![0; grid.width * grid.height],
        cb: vec![0; cb_width * cb_height],
        cr: vec![0; cb_width * cb_height],
        cb_width,
        cb_height,
        metadata: Metadata::default(),
    }
}

/// Puts tile `index` where it belongs.
fn put(
    all: &mut DecodedImage,
    tile: &DecodedImage,
    grid: &Grid,
    index: usize,
) -> Result<(), String> {
    let (sub_x, sub_y) = (tile.chroma_sampling.sub_x as usize, tile.chroma_sampling.sub_y as usize);
    let (x, y) = (index % grid.columns * tile.width, index / grid.columns * tile.height);
    if !x.is_multiple_of(sub_x) || !y.is_multiple_of(sub_y) {
        return Err(DAMAGED.to_owned());
    }
    let plane = |samples, width| Plane { samples, width };
    grid::put(&plane(&tile.y, tile.width), &mut all.y, all.width, [x, y]);
    let at = [x / sub_x, y / sub_y];
    grid::put(&plane(&tile.cb, tile.cb_width), &mut all.cb, all.cb_width, at);
    grid::put(&plane(&tile.cr, tile.cb_width), &mut all.cr, all.cb_width, at);
    Ok(())
}

/// A code of ITU-T H.273. The decoder panics on those that are reserved; they say nothing.
fn code(read: impl FnOnce() -> u16) -> u16 {
    const UNSPECIFIED: u16 = 2;
    panic_caught(read).unwrap_or(UNSPECIFIED)
}

fn describe(error: &Error) -> String {
    match error {
        Error::NotEnoughMemory => "the picture needs too much memory to be decoded".to_owned(),
        Error::UnsupportedBitstream => {
            "this kind of AVIF is not read; `avifdec a.avif a.png` saves it as PNG".to_owned()
        }
        other => format!("the picture is damaged: AV1's decoder says \"{other}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn reserved_codes_are_unspecified() {
        assert_eq!(code(|| 9), 9);
        assert_eq!(code(|| panic!("a reserved code")), 2);
    }
}
