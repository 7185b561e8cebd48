//! Samples → an image with one, two, three or four channels.

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, RgbImage, RgbaImage};

use super::super::allocate::filled;
use super::super::jpeg::Fault;
use super::directory::{Directory, Structure};
use super::layout::{self, Colours, Layout};
use super::samples::Samples;

const PALETTE: u16 = 320;
const COEFFICIENTS: u16 = 529;
const REFERENCE: u16 = 532;

/// The page that `samples` are.
pub(super) fn image(
    file: &Structure,
    directory: &Directory,
    layout: &Layout,
    samples: Samples,
) -> Result<DynamicImage, Fault> {
    let size = (layout.width, layout.height);
    if layout.colours == Colours::Palette {
        return palette(file, directory, layout, samples);
    }
    match samples {
        Samples::Bytes(mut all) => {
            if layout.colours == Colours::YCbCr && layout.compression != layout::JPEG {
                to_rgb(file, directory, layout, &mut all);
            }
            built(size, pixels(layout, all, u8::MAX)?, channels(layout))
        }
        Samples::Words(_) if layout.colours == Colours::YCbCr => {
            layout::not_read("TIFF with luma and chroma of more than 8 bits")
        }
        Samples::Words(all) => {
            let all = pixels(layout, all, u16::MAX)?;
            let (width, height) = (side(layout.width)?, side(layout.height)?);
            let image = match channels(layout) {
                1 => ImageBuffer::from_raw(width, height, all).map(DynamicImage::ImageLuma16),
                2 => ImageBuffer::from_raw(width, height, all).map(DynamicImage::ImageLumaA16),
                3 => ImageBuffer::from_raw(width, height, all).map(DynamicImage::ImageRgb16),
                _ => ImageBuffer::from_raw(width, height, all).map(DynamicImage::ImageRgba16),
            };
            image.ok_or_else(|| "it has too few pixels".into())
        }
    }
}

fn side(value: usize) -> Result<u32, Fault> {
    u32::try_from(value).map_err(|_| "it is too large".into())
}

fn channels(layout: &Layout) -> usize {
    let colours = if layout.colours.samples() == 1 { 1 } else { 3 };
    colours + usize::from(layout.alpha.is_some())
}

fn built(size: (usize, usize), all: Vec<u8>, channels: usize) -> Result<DynamicImage, Fault> {
    let (width, height) = (side(size.0)?, side(size.1)?);
    let image = match channels {
        1 => GrayImage::from_raw(width, height, all).map(DynamicImage::from),
        2 => GrayAlphaImage::from_raw(width, height, all).map(DynamicImage::from),
        3 => RgbImage::from_raw(width, height, all).map(DynamicImage::from),
        _ => RgbaImage::from_raw(width, height, all).map(DynamicImage::from),
    };
    image.ok_or_else(|| "it has too few pixels".into())
}

/// Keeps colours and transparency, turns what has white at zero, and divides by the transparency
/// what was multiplied by it.
fn pixels<T>(layout: &Layout, mut all: Vec<T>, most: T) -> Result<Vec<T>, Fault>
where
    T: Copy + Into<u32> + TryFrom<u32> + PartialOrd,
{
    let (colours, largest) = (layout.colours.samples(), most.into());
    let to_sample = |value: u32| T::try_from(value.min(largest)).unwrap_or(most);
    for pixel in all.chunks_exact_mut(layout.samples) {
        if layout.colours == Colours::WhiteIsZero {
            pixel[0] = to_sample(largest - pixel[0].into());
        }
        let Some(alpha) = layout.alpha.filter(|alpha| alpha.premultiplied) else { continue };
        let alpha: u32 = pixel[alpha.sample].into();
        for colour in &mut pixel[..colours] {
            let value: u32 = (*colour).into();
            // Up to 65535², which fits.
            *colour = to_sample((value * largest + alpha / 2).checked_div(alpha).unwrap_or(0));
        }
    }
    let kept = channels(layout);
    if kept == layout.samples {
        return Ok(all);
    }
    let mut to = filled(all.len() / layout.samples * kept, most)?;
    for (to, pixel) in to.chunks_exact_mut(kept).zip(all.chunks_exact(layout.samples)) {
        to[..colours].copy_from_slice(&pixel[..colours]);
        if let Some(alpha) = layout.alpha {
            to[colours] = pixel[alpha.sample];
        }
    }
    Ok(to)
}

/// TIFF 6.0, section 5.
fn palette(
    file: &Structure,
    directory: &Directory,
    layout: &Layout,
    samples: Samples,
) -> Result<DynamicImage, Fault> {
    let map = file.values(directory, PALETTE).ok_or("it has no palette")?;
    let entries = map.len() / 3;
    // Some writers fill only the lower byte.
    let low = map.iter().all(|&value| value < 256);
    let value = |at: usize| {
        let value = map.get(at).copied().unwrap_or(0);
        (if low { value } else { value >> 8 }) as u8
    };
    let (mut all, count) = (Vec::new(), layout.width * layout.height);
    let channels = channels(layout) + 2;
    all.try_reserve_exact(count * channels).map_err(|_| super::super::allocate::NO_MEMORY)?;
    let mut push = |index: usize, alpha: Option<u8>| {
        all.extend([value(index), value(entries + index), value(2 * entries + index)]);
        all.extend(alpha);
    };
    match samples {
        Samples::Bytes(samples) => {
            for pixel in samples.chunks_exact(layout.samples) {
                push(pixel[0].into(), layout.alpha.map(|alpha| pixel[alpha.sample]));
            }
        }
        Samples::Words(samples) => {
            for pixel in samples.chunks_exact(layout.samples) {
                let alpha = layout.alpha.map(|alpha| (pixel[alpha.sample] >> 8) as u8);
                push(pixel[0].into(), alpha);
            }
        }
    }
    built((layout.width, layout.height), all, channels)
}

/// TIFF 6.0, sections 20 and 21.
fn to_rgb(file: &Structure, directory: &Directory, layout: &Layout, all: &mut [u8]) {
    let fractions = |tag, default: &[f64]| {
        let found = file.fractions(directory, tag);
        found.filter(|f| f.len() == default.len()).unwrap_or_else(|| default.to_vec())
    };
    let coefficients = fractions(COEFFICIENTS, &[0.299, 0.587, 0.114]);
    let reference = fractions(REFERENCE, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
    let (red, green, blue) = (coefficients[0], coefficients[1], coefficients[2]);
    let scaled = |value: u8, black: f64, white: f64, range: f64| {
        let span = white - black;
        if span == 0.0 { 0.0 } else { (f64::from(value) - black) * range / span }
    };
    for pixel in all.chunks_exact_mut(layout.samples) {
        let y = scaled(pixel[0], reference[0], reference[1], 255.0);
        let cb = scaled(pixel[1], reference[2], reference[3], 127.0);
        let cr = scaled(pixel[2], reference[4], reference[5], 127.0);
        let r = cr * (2.0 - 2.0 * red) + y;
        let b = cb * (2.0 - 2.0 * blue) + y;
        let g = if green == 0.0 { y } else { (y - blue * b - red * r) / green };
        for (to, value) in pixel.iter_mut().zip([r, g, b]) {
            *to = (value + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}
