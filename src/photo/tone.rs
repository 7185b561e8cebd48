//! Gray stays gray, and a toned print keeps its tone: where the colour of a face depends on its
//! luminance alone, the restored face gets the colour of each luminance from the photo.
//!
//! A network that restores faces has seen colour photos, and paints ears and irises.

use super::align::Affine;
use super::paste::crop_smooth;
use super::warp::View;

/// Colours are compared as means over a face of so many pixels per side: compression and grain of
/// single pixels are no colour.
const SIDE: usize = 64;
/// Luminances that share a tone, and how many there are.
const STEP: f64 = 16.0;
const STEPS: usize = 17;
/// The part of the pixels that must lie near the tone of their luminance.
const MOST: f64 = 0.9;
/// How near, in levels of red and blue beside the luminance. Of 282 faces, gray ones saved as JPEG
/// have up to 1.3, and all that show colour have 5.5 and more.
const GRAY: f64 = 3.0;
/// How near in a toned print, and as a part of the mean distance of its tone from gray. Sepia prints
/// with noise have a median of 4.2 levels, 0.18 of their tone; faces in colour 0.24 and more.
const TONED: f64 = 5.5;
const PART: f64 = 0.25;
/// A mean distance from gray below this, in levels, is the rounding of JPEG.
const NEUTRAL: f64 = 1.5;
/// Fewer pixels inside of the photo say nothing.
const FEWEST: usize = SIDE * SIDE / 8;

/// Red and blue beside the luminance.
type Tint = [f64; 2];

/// The colour of every luminance, where the face of `size × size` pixels that `to_face` cuts out of
/// `photo` has one for each; `None` where it is in colour.
pub fn tones(photo: View<'_, u8, 3>, to_face: &Affine, size: usize) -> Option<Vec<[u8; 3]>> {
    let to_photo = to_face.inverse().from_size(SIDE as f64, size as f64);
    let small = crop_smooth(photo, &to_photo.inverse(), SIDE);
    let inside = |i: usize| {
        let [x, y] = to_photo.apply([(i % SIDE) as f64, (i / SIDE) as f64]);
        (0.0..photo.width as f64).contains(&x) && (0.0..photo.height as f64).contains(&y)
    };
    let pixels = small.iter().enumerate().filter(|(i, _)| inside(*i));
    let seen: Vec<(f64, Tint)> = pixels.map(|(_, pixel)| split(*pixel)).collect();
    if seen.len() < FEWEST {
        return None;
    }
    let curve = curve(&seen);
    let off = |&(luminance, tint): &(f64, Tint)| {
        let expected = at(&curve, luminance);
        (tint[0] - expected[0]).hypot(tint[1] - expected[1])
    };
    let mut distances: Vec<f64> = seen.iter().map(off).collect();
    distances.sort_by(f64::total_cmp);
    let distance = distances[(MOST * (seen.len() - 1) as f64) as usize];
    let squares = seen.iter().map(|(_, [red, blue])| red * red + blue * blue).sum::<f64>();
    let tone = (squares / seen.len() as f64).sqrt();
    if distance > GRAY && (distance > TONED || distance > PART * tone) {
        return None;
    }
    let neutral = tone < NEUTRAL;
    Some(
        (0..=255)
            .map(|luminance| {
                let luminance = f64::from(luminance);
                let [red, blue] = if neutral { [0.0; 2] } else { at(&curve, luminance) };
                let green = -(red + blue) / 2.0;
                [red, green, blue].map(|tint| (luminance + tint).round().clamp(0.0, 255.0) as u8)
            })
            .collect(),
    )
}

/// Luminance, and the tint beside it.
fn split([red, green, blue]: [u8; 3]) -> (f64, Tint) {
    let [red, green, blue] = [red, green, blue].map(f64::from);
    let luminance = (red + 2.0 * green + blue) / 4.0;
    (luminance, [red - luminance, blue - luminance])
}

/// The mean tint around every sixteenth luminance; where there is none, that of all.
fn curve(seen: &[(f64, Tint)]) -> [Tint; STEPS] {
    // The weights, then the tints by their weights, of every luminance and of all.
    let mut sums = [[0.0; 3]; STEPS];
    let mut all = [0.0; 3];
    for (luminance, [red, blue]) in seen {
        let place = luminance / STEP;
        for (step, sum) in sums.iter_mut().enumerate() {
            let weight = (1.0 - (place - step as f64).abs() / 1.5).max(0.0);
            *sum = [sum[0] + weight, sum[1] + weight * red, sum[2] + weight * blue];
        }
        all = [all[0] + 1.0, all[1] + red, all[2] + blue];
    }
    sums.map(|[weight, red, blue]| {
        // A few pixels' worth of the mean, so that rare luminances do not get a wild tint.
        let prior = 2.0 / all[0].max(1.0);
        let total = weight + prior * all[0];
        [(red + prior * all[1]) / total, (blue + prior * all[2]) / total]
    })
}

/// The tint of a luminance.
fn at(curve: &[Tint; STEPS], luminance: f64) -> Tint {
    let place = (luminance / STEP).clamp(0.0, (STEPS - 1) as f64 - 1e-9);
    let (low, part) = (place as usize, place.fract());
    [0, 1].map(|i| (1.0 - part) * curve[low][i] + part * curve[low + 1][i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::noise;

    const FACE: Affine = Affine([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);

    /// A face of 128 pixels of all luminances with `colour` of each place and luminance.
    fn toned(colour: impl Fn(usize, usize, f64) -> [f64; 3]) -> Option<Vec<[u8; 3]>> {
        let pixel = |i: usize| {
            let (x, y) = (i % 128, i / 128);
            let luminance = 128.0 + 90.0 * (x as f64 / 20.0).sin() * (y as f64 / 25.0).cos();
            colour(x, y, luminance).map(|v| v.round().clamp(0.0, 255.0) as u8)
        };
        let pixels: Vec<[u8; 3]> = (0..128 * 128).map(pixel).collect();
        tones(View { pixels: &pixels, height: 128, width: 128 }, &FACE, 128)
    }

    #[test]
    fn gray_with_the_colours_of_compression_stays_gray() {
        let tones = toned(|x, y, l| {
            let block = 0.7 * f64::from(noise(x / 8, y / 8));
            [l + block, l, l - block]
        });
        let gray = |(l, tone): (usize, &[u8; 3])| *tone == [l as u8; 3];
        assert!(tones.expect("gray").iter().enumerate().all(gray));
    }

    #[test]
    fn sepia_keeps_its_tone_at_every_luminance() {
        let sepia = |l: f64| {
            let tone = (std::f64::consts::PI * l / 255.0).sin();
            [l + 20.0 * tone, l + 2.0 * tone, l - 24.0 * tone]
        };
        let tones = toned(|x, y, l| sepia(l).map(|v| v + 3.0 * f64::from(noise(x, y))));
        let tones = tones.expect("a tone");
        for luminance in [60, 110, 160, 200] {
            let off =
                (0..3).map(|c| (f64::from(tones[luminance][c]) - sepia(luminance as f64)[c]).abs());
            let off = off.fold(0.0, f64::max);
            assert!(off < 4.0, "{luminance}: {:?}", tones[luminance]);
        }
    }

    #[test]
    fn a_pale_face_is_in_colour() {
        // Skin, lips and eyes, a few levels from gray.
        let pale = toned(|x, y, l| {
            let warm = if (x / 32 + y / 32) % 2 == 0 { 9.0 } else { -6.0 };
            [l + warm, l, l - warm]
        });
        assert_eq!(pale, None);
    }

    #[test]
    fn what_lies_outside_of_the_photo_says_nothing() {
        let pixels = vec![[90, 90, 90]; 16];
        let photo = View { pixels: &pixels, height: 4, width: 4 };
        assert_eq!(tones(photo, &Affine([[1.0, 0.0, 90.0], [0.0, 1.0, 90.0]]), 128), None);
    }
}
