//! Aligned faces out of a photo, and back into it.

use super::align::{Affine, Landmarks, TEMPLATE_SIZE};
use super::grain;
use super::mask::{self, Oval};
use super::warp::{Area, View, reach, warp};
use crate::cpu::{match_colours, paste, warp_affine};

/// The colour that the reference pipeline puts where a crop reaches beyond the photo.
pub const GRAY: [u8; 3] = [132, 133, 135];

/// A photo that faces are taken from or put into: `height · width` pixels, red first.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// Row by row.
    pub pixels: Vec<[u8; 3]>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// How a face is blended into a photo.
#[derive(Clone, Copy, Debug)]
pub enum Blend<'a> {
    /// GFPGAN's way: where a parser saw the face in the restored one, `[512, 512]`.
    Parsed(&'a [bool]),
    /// facexlib's way without a parser: a square with soft edges.
    Square,
    /// Ours.
    Soft {
        /// Where.
        shape: Shape<'a>,
        /// From 0, the photo as it was, to 1.
        strength: f64,
        /// From 0 to 1: the part of the photo's grain that goes over the face where it lacks that.
        grain: f64,
        /// The photo's own detail that the face lacks; without it the face replaces what was there.
        fine: Option<Original<'a>>,
    },
}

/// A photo as it was, and what a face was restored from.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The photo.
    pub photo: View<'a, u8, 3>,
    /// The crop, of the size of the face.
    pub crop: &'a [[u8; 3]],
    /// The variance of the photo's damage, in levels of luminance.
    pub damage: f64,
}

/// The part of a restored face that goes into the photo in our way of blending.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// Where a parser saw the face in the restored one, `[512, 512]`.
    Parsed(&'a [bool]),
    /// A soft oval around these landmarks, in pixels of the aligned face.
    Oval(&'a Landmarks),
    /// All but a soft border.
    Square,
}

impl Canvas {
    /// The aligned face of `size × size` pixels that `to_face` cuts out.
    pub fn crop(&self, to_face: &Affine, size: usize) -> Vec<[u8; 3]> {
        let area = Area { top: 0, left: 0, height: size, width: size };
        warp(self.view(), to_face, area, GRAY)
    }

    /// [`Canvas::crop`] where the face is larger in the photo than in the crop: the photo is
    /// averaged first, so that nothing is skipped.
    pub fn crop_smooth(&self, to_face: &Affine, size: usize) -> Vec<[u8; 3]> {
        crop_smooth(self.view(), to_face, size)
    }

    /// Puts a restored face of `size × size` pixels back. `to_photo` is the way from the face into
    /// this photo, which is `factor` times as large as the one that the face was cut from.
    pub fn paste(
        &mut self,
        face: &[[u8; 3]],
        size: usize,
        to_photo: &Affine,
        factor: usize,
        blend: Blend<'_>,
    ) {
        let Some(area) = reach(to_photo, size, self.height, self.width, 2) else { return };
        let source = View { pixels: face, height: size, width: size };
        let warped = warp(source, to_photo, area, [0; 3]);
        match blend {
            Blend::Parsed(face) => {
                let soft = parsed(face, size, to_photo, area);
                self.mix(area, |i, old| {
                    let m = soft[i];
                    // The reference truncates.
                    std::array::from_fn(|c| {
                        (m * f64::from(warped[i][c]) + (1.0 - m) * f64::from(old[c])) as u8
                    })
                });
            }
            Blend::Square => {
                let mask = mask::square(to_photo, size, area, factor);
                self.mix(area, |i, old| {
                    let m = mask.soft[i];
                    std::array::from_fn(|c| {
                        let new = mask.inside[i] * f32::from(warped[i][c]);
                        (m * new + (1.0 - m) * f32::from(old[c])) as u8
                    })
                });
            }
            Blend::Soft { shape, strength, grain, fine } => {
                let (mask, from_mask) = (shape.mask(size), mask_to_photo(to_photo, size));
                let source = View { pixels: &mask, height: MASK_SIDE, width: MASK_SIDE };
                let soft = warp(source, &from_mask, area, [0.0]);
                let soft = soft.as_flattened();
                let old = self.part(area);
                let [old, new] = [&old, &warped]
                    .map(|picture| grain::level(&grain::histogram(picture, area.width, soft)));
                let amounts = [strength, grain * grain::missing(old, new)].map(|v| v as f32);
                let first = area.top * self.width + area.left;
                let layout = [self.width, first, area.width];
                let fine = fine.map(|Original { photo, crop, damage }| {
                    let source = View { pixels: crop, height: size, width: size };
                    let crop = warp(source, to_photo, area, [0; 3]);
                    (warp(photo, &Affine::IDENTITY.enlarged(factor), area, [0; 3]), crop, damage)
                });
                let fine = fine.as_ref().map(|(original, crop, damage)| paste::Fine {
                    original,
                    crop,
                    damage: *damage as f32,
                });
                paste::run(&mut self.pixels, layout, &warped, soft, amounts, fine);
            }
        }
    }

    /// The pixels of an area.
    fn part(&self, area: Area) -> Vec<[u8; 3]> {
        let row = |row| &self.pixels[(area.top + row) * self.width + area.left..][..area.width];
        (0..area.height).flat_map(row).copied().collect()
    }

    fn view(&self) -> View<'_, u8, 3> {
        View { pixels: &self.pixels, height: self.height, width: self.width }
    }

    /// Replaces every pixel of `area`; `new` gets its place in the area and what was there.
    fn mix(&mut self, area: Area, new: impl Fn(usize, [u8; 3]) -> [u8; 3]) {
        for row in 0..area.height {
            let start = (area.top + row) * self.width + area.left;
            for (column, pixel) in self.pixels[start..][..area.width].iter_mut().enumerate() {
                *pixel = new(row * area.width + column, *pixel);
            }
        }
    }
}

/// [`Canvas::crop_smooth`] of any photo.
pub fn crop_smooth(photo: View<'_, u8, 3>, to_face: &Affine, size: usize) -> Vec<[u8; 3]> {
    let factor = shrink(to_face);
    // A crop of several times the size, then means of squares.
    let side = size * factor;
    let area = Area { top: 0, left: 0, height: side, width: side };
    let large = warp(photo, &to_face.enlarged_centres(factor), area, GRAY);
    warp_affine::means(&large, size, factor)
}

/// GFPGAN's mask of a face of `size × size` pixels in `area` of the photo, 0 to 1.
fn parsed(face: &[bool], size: usize, to_photo: &Affine, area: Area) -> Vec<f64> {
    let soft: Vec<[f64; 1]> = mask::parsed(face).into_iter().map(|v| [v]).collect();
    let source = View { pixels: &soft, height: MASK_SIDE, width: MASK_SIDE };
    let soft = warp(source, &mask_to_photo(to_photo, size), area, [0.0]);
    soft.into_iter().map(|[v]| v).collect()
}

/// Side of the masks that are made in the frame of the aligned face.
pub const MASK_SIDE: usize = TEMPLATE_SIZE as usize;

/// The way of a mask into the photo, by that of a face of `size × size` pixels.
pub fn mask_to_photo(to_photo: &Affine, size: usize) -> Affine {
    to_photo.from_size(TEMPLATE_SIZE, size as f64)
}

/// How many samples a smooth crop takes along an axis for each of its pixels.
pub fn shrink(to_face: &Affine) -> usize {
    let shrink = (1.0 / to_face.scale()).floor();
    if (2.0..=64.0).contains(&shrink) { shrink as usize } else { 1 }
}

impl Shape<'_> {
    /// The mask for a face of `size × size` pixels, `[MASK_SIDE, MASK_SIDE]`, 0 to 1.
    pub fn mask(&self, size: usize) -> Vec<[f32; 1]> {
        match self {
            Shape::Parsed(face) => mask::parsed(face).into_iter().map(|v| [v as f32]).collect(),
            Shape::Square => mask::tilted_square().into_iter().map(|v| [v as f32]).collect(),
            Shape::Oval(landmarks) => {
                let scale = MASK_SIDE as f64 / size as f64;
                let oval = Oval::of(&landmarks.map(|p| p.map(|v| (v + 0.5) * scale - 0.5)));
                let end = MASK_SIDE as f64 - 1.0;
                let at = |i: usize| {
                    let [x, y] = [i % MASK_SIDE, i / MASK_SIDE].map(|v| v as f64);
                    // Nothing of the crop's edge shows, wherever the oval lies.
                    let edge = x.min(y).min(end - x).min(end - y) / (0.06 * end);
                    [(oval.at([x, y]) * edge.clamp(0.0, 1.0)) as f32]
                };
                (0..MASK_SIDE * MASK_SIDE).map(at).collect()
            }
        }
    }
}

/// The standard deviation, as a part of the side, below which detail is the network's and above
/// which colour and light are the photo's.
const COLOUR_SCALE: f64 = 0.06;

/// The weights with which the difference of two faces of `size × size` pixels is blurred.
pub fn colour_weights(size: usize) -> Vec<f32> {
    let deviation = COLOUR_SCALE * size as f64;
    let radius = (3.0 * deviation).ceil() as usize;
    mask::gaussian(2 * radius + 1, deviation).into_iter().map(|w| w as f32).collect()
}

/// `restored` with the colours and the light of `original`, both `size × size`: the difference of
/// the two, blurred, is added.
pub fn with_colours_of(original: &[[u8; 3]], restored: &[[u8; 3]], size: usize) -> Vec<[u8; 3]> {
    match_colours::run(original, restored, size, &colour_weights(size))
}

#[cfg(test)]
mod tests {
    use super::super::align::{TEMPLATE, align};
    use super::*;

    fn canvas(height: usize, width: usize, value: impl Fn(usize, usize) -> u8) -> Canvas {
        let pixels = (0..height * width).map(|i| [value(i / width, i % width); 3]).collect();
        Canvas { pixels, height, width }
    }

    /// A face of 128 pixels in the middle of a photo.
    fn landmarks() -> Landmarks {
        TEMPLATE.map(|[x, y]| [x / 2.0 + 30.0, y / 2.0 + 20.0])
    }

    #[test]
    fn what_is_cut_out_and_put_back_changes_little() {
        let photo = canvas(300, 320, |y, x| (y / 2 + x / 3) as u8);
        let fit = align(&landmarks(), 128).unwrap();
        let face = photo.crop(&fit.to_face, 128);
        let back = fit.to_face.inverse();
        let aligned = landmarks().map(|p| fit.to_face.apply(p));
        let soft = |shape| Blend::Soft { shape, strength: 1.0, grain: 1.0, fine: None };
        let all = [true; 512 * 512];
        let ours = [Shape::Oval(&aligned), Shape::Parsed(&all), Shape::Square].map(soft);
        for blend in [Blend::Square, Blend::Parsed(&all)].into_iter().chain(ours) {
            let mut pasted = photo.clone();
            pasted.paste(&face, 128, &back, 1, blend);
            let far =
                pasted.pixels.iter().zip(&photo.pixels).map(|(a, b)| a[0].abs_diff(b[0])).max();
            assert!(far <= Some(2), "{far:?}");
        }
    }

    #[test]
    fn the_photo_around_the_face_is_untouched() {
        let photo = canvas(300, 320, |y, x| (y ^ x) as u8);
        let fit = align(&landmarks(), 128).unwrap();
        let aligned = landmarks().map(|p| fit.to_face.apply(p));
        let mut pasted = photo.clone();
        let shape = Shape::Oval(&aligned);
        let blend = Blend::Soft { shape, strength: 1.0, grain: 0.0, fine: None };
        pasted.paste(&[[255; 3]; 128 * 128], 128, &fit.to_face.inverse(), 1, blend);
        let changed = |y: usize, x: usize| pasted.pixels[y * 320 + x] != photo.pixels[y * 320 + x];
        assert!(changed(157, 158), "the nose");
        assert!((0..300).all(|y| (0..320).all(|x| !changed(y, x) || (x > 28 && y > 18))));
        let mut untouched = photo.clone();
        let nothing = Blend::Soft { shape, strength: 0.0, grain: 1.0, fine: None };
        untouched.paste(&[[255; 3]; 128 * 128], 128, &fit.to_face.inverse(), 1, nothing);
        assert_eq!(untouched.pixels, photo.pixels);
    }

    #[test]
    fn a_smooth_face_takes_the_grain_of_the_photo() {
        let photo = canvas(300, 320, |y, x| {
            (128.0_f32 + 6.0 * crate::pixels::noise(x + 7, y + 9)).round() as u8
        });
        let fit = align(&landmarks(), 128).unwrap();
        let aligned = landmarks().map(|p| fit.to_face.apply(p));
        let sigma = |part: f64| {
            let mut pasted = photo.clone();
            let shape = Shape::Oval(&aligned);
            let blend = Blend::Soft { shape, strength: 1.0, grain: part, fine: None };
            pasted.paste(&[[128; 3]; 128 * 128], 128, &fit.to_face.inverse(), 1, blend);
            let values: Vec<f64> = (130..180)
                .flat_map(|y| pasted.pixels[y * 320 + 130..y * 320 + 190].iter())
                .map(|p| f64::from(p[0]) - 128.0)
                .collect();
            (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
        };
        let [none, half, all] = [0.0, 0.5, 1.0].map(sigma);
        assert_eq!(none, 0.0);
        assert!((half - 3.0).abs() < 0.6 && (all - 6.0).abs() < 1.0, "{half} {all}");
    }

    #[test]
    fn detail_that_stands_out_is_kept_and_noise_is_not() {
        // A line every 20 pixels in a face of 600 pixels, which a crop of 128 blurs.
        let line = |x: usize| if x % 20 == 10 { 60.0 } else { 160.0 };
        let clean = canvas(640, 640, |_, x| line(x) as u8);
        let noisy =
            canvas(640, 640, |y, x| (line(x) + 6.0 * crate::pixels::noise(x, y)).round() as u8);
        let to_face = Affine([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]]);
        let kept = |photo: &Canvas, damage: f64| {
            let crop = photo.crop_smooth(&to_face, 128);
            let photo_view = View { pixels: &photo.pixels, height: 640, width: 640 };
            let original = Original { photo: photo_view, crop: &crop, damage };
            let mut pasted = photo.clone();
            let fine = Some(original);
            let blend = Blend::Soft { shape: Shape::Square, strength: 1.0, grain: 0.0, fine };
            pasted.paste(&crop, 128, &to_face.inverse(), 1, blend);
            pasted
        };
        assert!(kept(&clean, 0.0).pixels == clean.pixels, "a face that was not changed");
        let result = kept(&noisy, 36.0);
        // Between the lines the noise is gone, on them the dark is still there.
        let between: Vec<f64> =
            (200..400).map(|y| f64::from(result.pixels[y * 640 + 320][1])).collect();
        let mean = between.iter().sum::<f64>() / 200.0;
        let sigma = (between.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 200.0).sqrt();
        assert!(sigma < 3.0, "{sigma}");
        let on = |x: usize| {
            (200..400).map(|y| f64::from(result.pixels[y * 640 + x][1])).sum::<f64>() / 200.0
        };
        assert!(on(330) < 100.0 && on(320) > 135.0, "{} {}", on(330), on(320));
    }

    #[test]
    fn colours_follow_the_photo_and_detail_the_network() {
        let original = vec![[100, 50, 200]; 64 * 64];
        let restored: Vec<[u8; 3]> = (0..64 * 64)
            .map(|i| if i % 2 == 0 { [140, 90, 160] } else { [120, 70, 140] })
            .collect();
        let out = with_colours_of(&original, &restored, 64);
        for c in 0..3 {
            let mean = out.iter().map(|p| f64::from(p[c])).sum::<f64>() / out.len() as f64;
            assert!((mean - f64::from(original[0][c])).abs() < 1.0, "{mean}");
            assert!(out[2080][c].abs_diff(out[2081][c]) >= 19);
        }
    }

    #[test]
    fn a_smooth_crop_averages() {
        let photo = canvas(1200, 1200, |y, x| ((y + x) % 2 * 255) as u8);
        let to_face = Affine([[0.25, 0.0, -20.0], [0.0, 0.25, -20.0]]);
        let crop = photo.crop_smooth(&to_face, 128);
        assert!(crop.iter().all(|p| (120..136).contains(&p[0])));
        assert!(photo.crop(&to_face, 128).iter().any(|p| !(100..156).contains(&p[0])));
    }
}
