//! AVIF results, by `ravif`.

use image::ColorType;
use ravif::{AlphaColorMode, BitDepth, Encoder, Img, RGB8, RGBA8};

use super::write::{Parts, with_parts};

/// From 1, the best, to 10, the quickest. 6 takes some seconds for a photo of a phone.
const SPEED: u8 = 6;

/// The file of `height × width` 8-bit samples of RGB or RGBA, at a quality of 1 to 100.
pub(in crate::photo) fn encoded(
    samples: &[u8],
    [height, width]: [usize; 2],
    color: ColorType,
    quality: u8,
    parts: &Parts,
) -> Result<Vec<u8>, String> {
    let quality = f32::from(quality.clamp(1, 100));
    let encoder = Encoder::new()
        .with_quality(quality)
        // Seams are seen at the edges of what is transparent first.
        .with_alpha_quality(quality.max(90.0))
        .with_alpha_color_mode(AlphaColorMode::UnassociatedDirty)
        // As deep as the samples: what is read back is what was written.
        .with_bit_depth(BitDepth::Eight)
        .with_speed(SPEED);
    let file = if color == ColorType::Rgba8 {
        let pixels: Vec<RGBA8> =
            samples.as_chunks().0.iter().map(|&[r, g, b, a]| RGBA8::new(r, g, b, a)).collect();
        encoder.encode_rgba(Img::new(&pixels, width, height))
    } else {
        let pixels: Vec<RGB8> =
            samples.as_chunks().0.iter().map(|&[r, g, b]| RGB8::new(r, g, b)).collect();
        encoder.encode_rgb(Img::new(&pixels, width, height))
    };
    let file = file.map_err(|e| e.to_string())?.avif_file;
    with_parts(&file, parts).ok_or_else(|| "an AVIF holds at most 4 GiB".to_owned())
}
