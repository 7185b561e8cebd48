//! The contents of a picture's file beside its upright 8-bit pixels.

use image::Luma;

use super::Picture;
use super::enlarge::{enlarged, enlarged_by_alpha, enlarged_colours};
use super::kept::Kept;
use super::resize::resize;

/// Metadata that the result's file takes from the picture's file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// EXIF, as the TIFF structure that it is. Where it is written, its orientation becomes
    /// "upright", its size that of the result, and its thumbnail is left out.
    pub exif: Option<Vec<u8>>,
    /// No pixel has any colour: the result gets none either.
    pub gray: bool,
    /// The ICC profile of a picture with a single channel, which fits only another one.
    pub gray_icc: Option<Vec<u8>>,
    /// The file's other contents.
    pub kept: Kept,
    /// The samples of a picture with 16 bits. A result of the same size takes from them what the
    /// restoration left as it was.
    pub deep: Option<Samples16>,
}

/// Samples with 16 bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Samples16 {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, 3]`, red first.
    pub rgb: Vec<u16>,
    /// `[height, width]`, where the picture has transparency.
    pub alpha: Option<Vec<u16>>,
}

/// 65535 / 255.
const STEP: u16 = 257;

/// The nearest value with 8 bits.
pub(super) fn narrow(sample: u16) -> u8 {
    // (65535 + 128) / 257 = 255
    ((u32::from(sample) + u32::from(STEP) / 2) / u32::from(STEP)) as u8
}

impl Samples16 {
    /// The samples of `result`, the restored version of this picture: what the restoration left is
    /// exact, to the rest its difference is added. Where the result is some times as large, this
    /// holds for the enlarged picture. `None` where it has another shape.
    pub(super) fn of_result(&self, result: &Picture) -> Option<Vec<u16>> {
        let to = [result.height, result.width];
        if !self.fits(result) {
            return None;
        }
        let moved = |from: u16, before: u8, to: u8| {
            let difference = i32::from(to) - i32::from(before);
            (i32::from(from) + difference * i32::from(STEP)).clamp(0, u16::MAX.into()) as u16
        };
        if [self.height, self.width] == to {
            let values = self.rgb.iter().zip(&result.rgb);
            return Some(values.map(|(&from, &to)| moved(from, narrow(from), to)).collect());
        }
        let before = self.narrowed().enlarged(result.height, result.width);
        let values = self.enlarged(to).into_iter().zip(before.as_flattened()).zip(&result.rgb);
        Some(values.map(|((from, &before), &to)| moved(from, before, to)).collect())
    }

    /// Whether [`Self::of_result`] has samples of this result.
    pub(super) fn fits(&self, result: &Picture) -> bool {
        let factor = result.height / self.height.max(1);
        factor > 0 && [self.height * factor, self.width * factor] == [result.height, result.width]
    }

    /// The transparency of `result`, as [`Self::of_result`]; opaque where there is none.
    pub(super) fn alpha_of_result(&self, alpha: &[u8], to: [usize; 2]) -> Vec<u16> {
        let from = [self.height, self.width];
        let own = self.alpha.as_ref().and_then(|own| resize::<Luma<u16>>(own, from, to).ok());
        own.filter(|own| own.len() == alpha.len())
            .unwrap_or_else(|| alpha.iter().map(|&a| u16::from(a) * STEP).collect())
    }

    /// The samples with 8 bits.
    fn narrowed(&self) -> Picture {
        let narrowed = |samples: &Vec<u16>| samples.iter().map(|&v| narrow(v)).collect();
        let (rgb, alpha) = (narrowed(&self.rgb), self.alpha.as_ref().map(narrowed));
        Picture { height: self.height, width: self.width, rgb, alpha, icc: None }
    }

    fn enlarged(&self, to: [usize; 2]) -> Vec<u16> {
        let size = [self.height, self.width];
        let colours: Vec<[f32; 3]> =
            self.rgb.as_chunks::<3>().0.iter().map(|pixel| pixel.map(f32::from)).collect();
        let large = match &self.alpha {
            Some(alpha) => {
                let narrowed = self.narrowed();
                let hidden = narrowed.visible_rgb();
                let hidden: Vec<[f32; 3]> = (hidden.as_chunks::<3>().0.iter())
                    .map(|pixel| pixel.map(|v| f32::from(u16::from(v) * STEP)))
                    .collect();
                let whole = f32::from(u16::MAX);
                let alpha: Vec<f32> = alpha.iter().map(|&a| f32::from(a) / whole).collect();
                enlarged_by_alpha(&colours, &alpha, &hidden, size, to)
            }
            None => enlarged_colours(&colours, size, to),
        };
        large.as_flattened().iter().map(|v| (v + 0.5) as u16).collect()
    }
}

impl Picture {
    /// The colours at `height × width` pixels, without a network: colours count by their alpha.
    pub(super) fn enlarged(&self, height: usize, width: usize) -> Vec<[u8; 3]> {
        let (size, to) = ([self.height, self.width], [height, width]);
        let pixels = self.rgb.as_chunks::<3>().0;
        let Some(alpha) = self.alpha.as_ref().filter(|_| size != to) else {
            return enlarged(pixels, self.height, self.width, to);
        };
        let floats = |pixels: &[[u8; 3]]| -> Vec<[f32; 3]> {
            pixels.iter().map(|pixel| pixel.map(f32::from)).collect()
        };
        let hidden = floats(self.visible_rgb().as_chunks::<3>().0);
        let alpha: Vec<f32> = alpha.iter().map(|&a| f32::from(a) / 255.0).collect();
        let large = enlarged_by_alpha(&floats(pixels), &alpha, &hidden, size, to);
        large.into_iter().map(|pixel| pixel.map(|v| (v + 0.5) as u8)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_exact_and_the_rest_moves_along() {
        let rgb = vec![1000, 40_000, 65_535];
        let deep = Samples16 { height: 1, width: 1, rgb: rgb.clone(), alpha: None };
        let mut result = Picture {
            height: 1,
            width: 1,
            rgb: rgb.iter().map(|&v| narrow(v)).collect(),
            alpha: None,
            icc: None,
        };
        assert_eq!(deep.of_result(&result), Some(rgb));
        result.rgb[0] += 2;
        result.rgb[2] = 0;
        assert_eq!(deep.of_result(&result), Some(vec![1000 + 2 * 257, 40_000, 0]));
        result.height = 2;
        assert_eq!(deep.of_result(&result), None);
    }

    #[test]
    fn an_enlarged_picture_keeps_its_levels() {
        // A ramp of 64 columns whose steps are less than those of 8 bits.
        let rgb: Vec<u16> = (0..64 * 8).flat_map(|i| [20_000 + i % 64 * 40; 3]).collect();
        let deep = Samples16 { height: 8, width: 64, rgb, alpha: None };
        let plain = deep.narrowed();
        let (height, width) = (16, 128);
        let rgb = plain.enlarged(height, width).into_flattened();
        let mut result = Picture { height, width, rgb, alpha: None, icc: None };
        let large = deep.of_result(&result).unwrap();
        let row: Vec<u16> = large[..3 * width].iter().step_by(3).copied().collect();
        assert!(row[4..124].is_sorted(), "{row:?}");
        let steps = row[4..124].windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.clone().max() <= Some(24) && steps.min() >= Some(16), "{row:?}");
        result.rgb[0] = result.rgb[0].saturating_add(3);
        let changed = deep.of_result(&result).unwrap();
        assert_eq!((changed[0], &changed[1..]), (large[0] + 3 * 257, &large[1..]));
        let see_through = Samples16 { alpha: Some(vec![30_000; 64 * 8]), ..deep };
        let plain = see_through.narrowed();
        result.rgb = plain.enlarged(height, width).into_flattened();
        let seen = see_through.of_result(&result).unwrap();
        assert!(seen.iter().zip(&large).all(|(a, b)| a.abs_diff(*b) <= 2), "constant alpha");
        let alpha = see_through.alpha_of_result(&vec![0; height * width], [height, width]);
        assert!(alpha.iter().all(|&a| a == 30_000));
    }
}
