//! Bringing a picture to another size.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Pixel, Rgb, Rgba};

use super::Picture;
use crate::{Error, Result};

impl Picture {
    /// The picture at `height × width`, stretched where the proportions differ: Catmull-Rom, which
    /// averages over all source pixels when it shrinks. Colours count by their alpha.
    ///
    /// # Errors
    /// [`Error::Input`] when a side is 0.
    pub fn resized(&self, height: usize, width: usize) -> Result<Picture> {
        let from = [self.height, self.width];
        let rgb = match &self.alpha {
            Some(alpha) if from != [height, width] => self.weighted(alpha, [height, width])?,
            _ => resize::<Rgb<u8>>(&self.rgb, from, [height, width])?,
        };
        let alpha = self.alpha_resized(height, width)?;
        Ok(Picture { height, width, rgb, alpha, icc: self.icc.clone() })
    }

    /// The colours, each counting by its alpha.
    fn weighted(&self, alpha: &[u8], to: [usize; 2]) -> Result<Vec<u8>> {
        let seen = self.visible_rgb();
        // `image` keeps samples of f32 between 0 and 1.
        let weighted = seen.as_chunks::<3>().0.iter().zip(alpha).flat_map(|(pixel, &alpha)| {
            // Hidden colours, which are those around, count where there is nothing else.
            let alpha = (f32::from(alpha) / 255.0).max(HIDDEN);
            let [red, green, blue] = pixel.map(|v| f32::from(v) / 255.0 * alpha);
            [red, green, blue, alpha]
        });
        let weighted: Vec<f32> = weighted.collect();
        let large = resize::<Rgba<f32>>(&weighted, [self.height, self.width], to)?;
        let colours = large.as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, alpha]| {
            let alpha = alpha.max(HIDDEN / 2.0);
            [red, green, blue].map(|v| (255.0 * v / alpha + 0.5) as u8)
        });
        Ok(colours.collect())
    }

    /// The transparency alone, as [`Picture::resized`].
    pub(super) fn alpha_resized(&self, height: usize, width: usize) -> Result<Option<Vec<u8>>> {
        let from = [self.height, self.width];
        let resized = |alpha: &Vec<u8>| resize::<Luma<u8>>(alpha, from, [height, width]);
        self.alpha.as_ref().map(resized).transpose()
    }
}

/// How much a hidden pixel counts, where an opaque one counts 1.
const HIDDEN: f32 = 4e-5;

/// `values` are `[from[0], from[1]]` pixels.
pub(super) fn resize<P>(
    values: &[P::Subpixel],
    from: [usize; 2],
    to: [usize; 2],
) -> Result<Vec<P::Subpixel>>
where
    P: Pixel + 'static,
    P::Subpixel: 'static,
{
    if from == to {
        return Ok(values.to_vec());
    }
    let fail = |what: &dyn std::fmt::Display| {
        Error::Input(format!(
            "a picture of {}×{} pixels cannot be resized to {}×{}: {what}",
            from[1], from[0], to[1], to[0]
        ))
    };
    if from.contains(&0) || to.contains(&0) {
        return Err(fail(&"a side is 0"));
    }
    let side = |n: usize| u32::try_from(n).map_err(|e| fail(&e));
    let source = ImageBuffer::<P, &[P::Subpixel]>::from_raw(side(from[1])?, side(from[0])?, values);
    let source = source.ok_or_else(|| fail(&"its values are too few"))?;
    let target = imageops::resize(&source, side(to[1])?, side(to[0])?, FilterType::CatmullRom);
    Ok(target.into_raw())
}

#[cfg(test)]
mod tests {
    use crate::photo::Picture;

    fn picture(height: usize, width: usize, value: impl Fn(usize, usize) -> u8) -> Picture {
        let values = (0..height * width).map(|i| value(i / width, i % width));
        let alpha: Vec<u8> = values.collect();
        let rgb = alpha.iter().flat_map(|&v| [v; 3]).collect();
        Picture { height, width, rgb, alpha: Some(alpha), icc: None }
    }

    #[test]
    fn shrinking_averages() {
        // A checkerboard of single pixels has the mean 127.5 everywhere.
        let board = picture(512, 512, |y, x| ((y + x) % 2 * 255) as u8);
        let mean = |values: &[u8]| values.iter().all(|&v| (127..=128).contains(&v));
        let opaque = Picture { alpha: None, ..board.clone() }.resized(32, 32).unwrap();
        assert!(mean(&opaque.rgb));
        // Its black pixels are hidden.
        let small = board.resized(32, 32).unwrap();
        assert!(small.rgb.iter().all(|&v| v >= 254) && mean(&small.alpha.unwrap()));
    }

    #[test]
    fn extreme_shapes() {
        let wide = picture(10, 30_000, |_, _| 200).resized(256, 256).unwrap();
        assert!(wide.rgb.iter().all(|&v| v == 200) && wide.rgb.len() == 256 * 256 * 3);
        let dot = picture(1, 1, |_, _| 77).resized(64, 64).unwrap();
        assert!(dot.rgb.iter().all(|&v| v == 77));
        assert!(picture(1, 1, |_, _| 0).resized(0, 5).is_err());
    }

    #[test]
    fn a_ramp_stays_a_ramp() {
        let large = picture(4, 64, |_, x| (x * 4) as u8).resized(4, 128).unwrap();
        let row: Vec<u8> = large.rgb[..128 * 3].iter().step_by(3).copied().collect();
        assert!(row.is_sorted(), "{row:?}");
    }
}
