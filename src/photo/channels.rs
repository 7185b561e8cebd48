//! The samples of a picture in the channels and the depth that its file gets.

use std::borrow::Cow;

use image::ColorType;

use super::{Format, Metadata, Picture};

/// The samples as they are written, and what they are. Those with 16 bits are in the machine's
/// byte order, as the encoders want them.
pub(super) fn samples<'a>(
    picture: &'a Picture,
    metadata: &Metadata,
    format: Format,
) -> (Cow<'a, [u8]>, ColorType) {
    let alpha = picture.alpha.as_deref().filter(|_| format.has_alpha());
    let one_channel = metadata.gray
        && picture.icc.is_none()
        && matches!(format, Format::Jpeg | Format::Png | Format::Tiff)
        // Some readers of TIFF know no gray with transparency.
        && !(format == Format::Tiff && alpha.is_some());
    let deep = metadata.deep.as_ref().filter(|_| format.is_deep());
    if let Some((deep, rgb)) = deep.and_then(|deep| Some((deep, deep.of_result(picture)?))) {
        let rgb = if metadata.gray { without_colour(&rgb) } else { rgb };
        let alpha = alpha.map(|alpha| deep.alpha_of_result(alpha, [picture.height, picture.width]));
        let (samples, color) = match (one_channel, alpha) {
            (false, None) => (rgb, ColorType::Rgb16),
            (false, Some(alpha)) => (interleaved(&rgb, Some(&alpha), 3), ColorType::Rgba16),
            (true, None) => (interleaved(&rgb, None, 1), ColorType::L16),
            (true, Some(alpha)) => (interleaved(&rgb, Some(&alpha), 1), ColorType::La16),
        };
        return (Cow::Owned(bytemuck::cast_slice(&samples).to_vec()), color);
    }
    let rgb = if metadata.gray {
        Cow::Owned(without_colour(&picture.rgb))
    } else {
        Cow::Borrowed(picture.rgb.as_slice())
    };
    match (one_channel, alpha) {
        (false, None) => (rgb, ColorType::Rgb8),
        (false, alpha) => (interleaved(&rgb, alpha, 3).into(), ColorType::Rgba8),
        (true, None) => (interleaved(&rgb, None, 1).into(), ColorType::L8),
        (true, alpha) => (interleaved(&rgb, alpha, 1).into(), ColorType::La8),
    }
}

/// Every colour replaced by its luminance (ITU-R BT.601, weights of 1/256): gray stays what it is.
pub(super) fn without_colour<T: Copy + Into<u32> + TryFrom<u32>>(rgb: &[T]) -> Vec<T> {
    let luminance = |p: &[T; 3]| {
        let sum = 77 * p[0].into() + 150 * p[1].into() + 29 * p[2].into();
        [T::try_from((sum + 128) >> 8).unwrap_or(p[1]); 3]
    };
    rgb.as_chunks::<3>().0.iter().flat_map(luminance).collect()
}

/// The first `kept` of each pixel's channels, and its transparency.
fn interleaved<T: Copy>(rgb: &[T], alpha: Option<&[T]>, kept: usize) -> Vec<T> {
    let pixels = rgb.as_chunks::<3>().0.iter().map(|pixel| &pixel[..kept]);
    match alpha {
        Some(alpha) => {
            let with_alpha = pixels.zip(alpha);
            with_alpha.flat_map(|(p, a)| p.iter().chain([a]).copied()).collect()
        }
        None => pixels.flatten().copied().collect(),
    }
}
