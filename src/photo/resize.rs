//! Bringing a picture to another size.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Pixel, Rgb};

use super::Picture;
use crate::{Error, Result};

impl Picture {
    /// The picture at `height × width`, stretched where the proportions differ: Catmull-Rom, which
    /// averages over all source pixels when it shrinks.
    ///
    /// # Errors
    /// [`Error::Input`] when a side is 0.
    pub fn resized(&self, height: usize, width: usize) -> Result<Picture> {
        let from = [self.height, self.width];
        let rgb = resize::<Rgb<u8>>(&self.rgb, from, [height, width])?;
        let alpha = self.alpha_resized(height, width)?;
        Ok(Picture { height, width, rgb, alpha, icc: self.icc.clone() })
    }

    /// The transparency alone, as [`Picture::resized`].
    pub(super) fn alpha_resized(&self, height: usize, width: usize) -> Result<Option<Vec<u8>>> {
        let from = [self.height, self.width];
        let resized = |alpha: &Vec<u8>| resize::<Luma<u8>>(alpha, from, [height, width]);
        self.alpha.as_ref().map(resized).transpose()
    }
}

/// `bytes` are `[from[0], from[1]]` pixels.
fn resize<P>(bytes: &[u8], from: [usize; 2], to: [usize; 2]) -> Result<Vec<u8>>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    if from == to {
        return Ok(bytes.to_vec());
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
    let source = ImageBuffer::<P, &[u8]>::from_raw(side(from[1])?, side(from[0])?, bytes);
    let source = source.ok_or_else(|| fail(&"its bytes are too few"))?;
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
        let small = picture(512, 512, |y, x| ((y + x) % 2 * 255) as u8).resized(32, 32).unwrap();
        assert!(small.rgb.iter().all(|&v| (127..=128).contains(&v)));
        assert!(small.alpha.unwrap().iter().all(|&v| (127..=128).contains(&v)));
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
