//! Whether what was found is a face, by a second look at the photo itself.
//!
//! The restored face says nothing about that: a network that restores faces draws one on a knob.

use image::{RgbImage, imageops};

use super::align::align_posed;
use super::paste::crop_smooth;
use super::search::UPRIGHT;
use super::{Detector, Face, Picture};
use crate::{Error, Result};

/// The sides of the looks, upright, and the deviation of the blur in each: a face stays one without
/// its finest detail, a button or a pattern does not. A face has about 60 and 90 pixels then.
const LOOKS: [(usize, f32); 2] = [(128, 1.0), (192, 1.5)];
/// What has less than this is not even a candidate, and counts as 0.
const CANDIDATE: f32 = 0.2;
/// The mean score of a face, where the detector's file asks for none (its metadata `asked_score`).
/// YuNet gives 0.84 and more to faces that were reduced up to eight times, and at most 0.77 to what it
/// takes for one in the pictures of `tools/faces/negatives.py`.
const LEAST: f32 = 0.8;
/// A face is the one that was cut out when its centre is nearer to that one's than a sixth of the side.
const NEAR: f64 = 6.0;

impl Detector {
    /// The mean score that a face must have at the second look, [`Detector::ask`]. What was found and has
    /// less is left as it was.
    pub fn asked_score(&self) -> f32 {
        let score = self.metadata("asked_score").and_then(|score| score.parse().ok());
        score.filter(|score| (0.0..=1.0).contains(score)).unwrap_or(LEAST)
    }

    /// The second look at a face that was found: its mean score, 0 to 1, in two blurred, upright looks
    /// at what is in `photo`. 0 where its landmarks lie in one point.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn ask(&mut self, photo: &Picture, face: &Face) -> Result<f32> {
        crate::blocking::block_on(self.ask_async(photo, face))
    }

    /// [`Detector::ask`] for programs with an async runtime, as
    /// [`Session::run_async`](crate::Session::run_async).
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub async fn ask_async(&mut self, photo: &Picture, face: &Face) -> Result<f32> {
        let Some(to_crop) = align_posed(&face.landmarks, UPRIGHT) else { return Ok(0.0) };
        let rgb = crop_smooth(photo.view(), &to_crop, UPRIGHT).into_flattened();
        let crop = Picture { height: UPRIGHT, width: UPRIGHT, rgb, alpha: None, icc: None };
        let middle = to_crop.apply(face.centre());
        let mut sum = 0.0;
        for (side, deviation) in LOOKS {
            let shown = blurred(crop.resized(side, side)?, deviation)?;
            let scale = side as f64 / UPRIGHT as f64;
            let here = self.detect_above(&shown, CANDIDATE).await?.into_iter().filter(|seen| {
                let [x, y] = Face::from(*seen).centre();
                (x - middle[0] * scale).hypot(y - middle[1] * scale) < side as f64 / NEAR
            });
            sum += here.map(|seen| seen.score).fold(0.0, f32::max);
        }
        Ok(sum / LOOKS.len() as f32)
    }
}

fn blurred(picture: Picture, deviation: f32) -> Result<Picture> {
    let Picture { height, width, rgb, alpha, icc } = picture;
    let image = RgbImage::from_raw(width as u32, height as u32, rgb)
        .ok_or_else(|| Error::Internal("a look has too few pixels".to_owned()))?;
    let rgb = imageops::blur(&image, deviation).into_raw();
    Ok(Picture { height, width, rgb, alpha, icc })
}
