//! What a photo's own detail is worth: whether it is sharp already, how much of it is damage, and whether
//! it is the dots of a print.
//!
//! A network of 256 pixels cannot hold the finest waves of a larger face. What the photo has of them
//! is kept where it stands out of the damage; see `kernels/paste.wgsl`.

use super::align::Affine;
use super::grain;
use super::paste::crop_smooth;
use super::warp::{View, reach};

/// Noise up to this, in levels, is the rounding and the texture of a clean photo: sharp portraits of
/// 1024 pixels have 0.5 to 1.3.
const CLEAN: f64 = 1.5;
/// The edges of JPEG's blocks.
const BLOCK: usize = 8;
/// Noise is measured in squares of so many pixels, too: those of a small face are calm between its
/// features.
const CALM_SIDE: usize = 4;
/// How much larger the variance of noise is than that of Immerkær's operator in the calmest tenth of these
/// squares, which are calm by chance.
const CALM_FACTOR: f64 = 2.3;
/// Luminances so near to black or white are clipped, and show less noise than there is.
const CLIPPED: u8 = 2;
/// Steps at the edges of blocks count so many times as noise: their energy lies on few pixels.
const BLOCK_WEIGHT: f64 = 3.0;
/// Steps up to this, in levels, are chance.
const LEAST_STEP: f64 = 0.15;
/// From here on, in levels, what is everywhere is the dots of a print: a fifth of a sharp face is
/// calmer than 5.5 where its frame has 300 pixels and more, and none of a face under dots.
const DOTS: f64 = 8.0;
/// Dots are looked for in a crop of so many pixels per side.
const SEEN: usize = 256;
/// There, a fifth of a face under dots is not calmer than this, in levels: eleven such faces have 9.8 to 42.
/// Sharp faces have up to 3.2, and with noise of 20 levels 8.4.
const DOTTED: f64 = 9.0;
/// Sides of the crops in which the dots of a print are averaged, the finest first.
const AVERAGED: [usize; 3] = [128, 96, 64];
/// The variance of the damage of a face under dots: more than all of its waves have.
pub const NOTHING_KEPT: f64 = 1e6;
/// How much more of the finest waves the restored face of a sharp one may have: what has more was
/// missing something.
const GAIN: f64 = 1.03;
/// A tenth of a sharp face's pixels has this much of Immerkær's operator, in levels: those of soft ones
/// have 0.7 to 3.
const SHARP: f64 = 5.0;

/// The variance of the damage in the part of `photo` where a face of `size × size` pixels goes, in
/// levels of luminance: noise and dots beyond what a clean photo has, and steps at the edges of
/// JPEG's blocks. 0 in a clean photo.
pub fn damage(photo: View<'_, u8, 3>, to_photo: &Affine, size: usize) -> f64 {
    let Some(area) = reach(to_photo, size, photo.height, photo.width, 0) else { return 0.0 };
    // The middle half of the frame is face.
    let (top, left) = (area.top + area.height / 4, area.left + area.width / 4);
    let (height, width) = (area.height / 2, area.width / 2);
    let row = |y: usize| &photo.pixels[(top + y) * photo.width + left..][..width];
    let pixels: Vec<[u8; 3]> = (0..height).flat_map(row).copied().collect();
    let noise = noise_variance(&pixels, width);
    // Smaller faces have nothing that the network's pixels could not hold.
    let dots = if to_photo.scale() > 1.0 { unrest(&pixels, width) } else { 0.0 };
    let noise = if dots > DOTS { noise.max(dots * dots) } else { noise };
    let step = BLOCK_WEIGHT * (blockiness(&pixels, width, left) - LEAST_STEP).max(0.0);
    (noise - CLEAN * CLEAN).max(0.0) + step * step
}

/// The variance of the noise, in levels.
///
/// The median of all pixels counts the face's own detail as noise, and the more of it the smaller the face
/// is. The calmest squares have less of that and as much noise. What the median has above them is detail,
/// and they are taken to have as much of it once more.
fn noise_variance(pixels: &[[u8; 3]], width: usize) -> f64 {
    let is_clipped =
        |i: usize| !(CLIPPED..=u8::MAX - CLIPPED).contains(&grain::luminance(pixels[i]));
    let weights: Vec<f32> =
        (0..pixels.len()).map(|i| if is_clipped(i) { 0.0 } else { 1.0 }).collect();
    let all = grain::level(&grain::histogram(pixels, width, &weights)).powi(2);
    let height = pixels.len().checked_div(width).unwrap_or(0);
    let mut squares = squares([height, width], CALM_SIDE, |x, y| {
        let i = y * width + x;
        if [i - width, i, i + width].iter().any(|&i| (i - 1..=i + 1).any(is_clipped)) {
            return f64::NAN;
        }
        (f64::from(grain::operator(pixels, width, i)) / 6.0).powi(2)
    });
    squares.retain(|square| square.is_finite());
    let calm = squares.get(squares.len() / 10).map_or(all, |square| CALM_FACTOR * square);
    (2.0 * calm - all).min(all)
}

/// The means of `value` of column and row in squares of `side` pixels, in ascending order; the outermost
/// pixels have no square.
fn squares(
    [height, width]: [usize; 2],
    side: usize,
    value: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut squares = Vec::new();
    for top in (1..height.saturating_sub(side)).step_by(side) {
        for left in (1..width.saturating_sub(side)).step_by(side) {
            let places = (top..top + side).flat_map(|y| (left..left + side).map(move |x| (x, y)));
            let sum: f64 = places.map(|(x, y)| value(x, y)).sum();
            squares.push(sum / (side * side) as f64);
        }
    }
    squares.sort_by(f64::total_cmp);
    squares
}

/// The standard deviation, in levels, of the noise that has as strong second differences along rows and
/// columns as the calmest fifth of the squares of 8 pixels. Immerkær's operator is blind to dots in rows
/// and columns.
fn unrest(pixels: &[[u8; 3]], width: usize) -> f64 {
    let height = pixels.len().checked_div(width).unwrap_or(0);
    let at = |x: usize, y: usize| f64::from(grain::luminance(pixels[y * width + x]));
    let squares = squares([height, width], BLOCK, |x, y| {
        let middle = 2.0 * at(x, y);
        let across = at(x - 1, y) - middle + at(x + 1, y);
        let down = at(x, y - 1) - middle + at(x, y + 1);
        (across * across + down * down) / 2.0
    });
    // The weights 1, -2 and 1 make the variance six times as large.
    squares.get(squares.len() / 5).map_or(0.0, |square| (square / 6.0).sqrt())
}

/// Whether the dots of a print cover the face of `size × size` pixels that `to_face` cuts out. A network
/// takes them for detail, and makes a mesh of them.
pub fn is_dotted(photo: View<'_, u8, 3>, to_face: &Affine, size: usize) -> bool {
    unrest_inside(&crop_of(photo, to_face, size, SEEN), SEEN) > DOTTED
}

/// A smaller crop of a face under dots, in which they are averaged as far as that goes: its pixels and its
/// side.
pub fn without_dots(
    photo: View<'_, u8, 3>,
    to_face: &Affine,
    size: usize,
) -> (Vec<[u8; 3]>, usize) {
    let crop = |side: usize| (crop_of(photo, to_face, size, side), side);
    let [finest @ .., coarsest] = AVERAGED;
    let is_calm = |(crop, side): &(Vec<[u8; 3]>, usize)| unrest_inside(crop, *side) <= DOTS;
    finest.into_iter().map(crop).find(is_calm).unwrap_or_else(|| crop(coarsest))
}

/// The crop of `side × side` pixels that shows what that of `size × size` pixels shows.
fn crop_of(photo: View<'_, u8, 3>, to_face: &Affine, size: usize, side: usize) -> Vec<[u8; 3]> {
    let to_photo = to_face.inverse().from_size(side as f64, size as f64);
    crop_smooth(photo, &to_photo.inverse(), side)
}

/// [`unrest`] of the middle half of a crop, which is face.
fn unrest_inside(crop: &[[u8; 3]], side: usize) -> f64 {
    let rows = crop.chunks_exact(side).skip(side / 4).take(side / 2);
    let inside: Vec<[u8; 3]> = rows.flat_map(|row| &row[side / 4..][..side / 2]).copied().collect();
    unrest(&inside, side / 2)
}

/// How much larger the steps of luminance from column to column are at the edges of blocks than
/// elsewhere, in levels. Pictures that were cut have their blocks elsewhere: the largest of all shifts
/// counts, less what the second largest has. `left` is the column of the first pixel.
fn blockiness(pixels: &[[u8; 3]], width: usize, left: usize) -> f64 {
    let mut sums = [(0.0_f64, 0_u32); BLOCK];
    for row in pixels.chunks_exact(width.max(1)) {
        for (x, pair) in row.windows(2).enumerate() {
            let step = grain::luminance(pair[0]).abs_diff(grain::luminance(pair[1]));
            // Edges of the picture's own are no steps of blocks.
            if step < 24 {
                let (sum, count) = &mut sums[(left + x + 1) % BLOCK];
                (*sum, *count) = (*sum + f64::from(step), *count + 1);
            }
        }
    }
    let mut means = sums.map(|(sum, count)| sum / f64::from(count.max(1)));
    means.sort_by(f64::total_cmp);
    means[BLOCK - 1] - means[BLOCK - 2]
}

/// Whether a face of which `photo` and `restored` are the histograms of Immerkær's operator, in the
/// crop that the network sees, is as sharp as the network can make it.
pub fn is_sharp([photo, restored]: [&[u32]; 2]) -> bool {
    let energy = |counts: &[u32]| {
        let squares = counts.iter().enumerate().map(|(v, &n)| (v * v) as f64 * f64::from(n));
        squares.sum::<f64>().sqrt()
    };
    let total: u64 = photo.iter().map(|&n| u64::from(n)).sum();
    let mut above = 0;
    let tenth = photo.iter().rposition(|&count| {
        above += u64::from(count);
        10 * above >= total
    });
    let tenth = tenth.map_or(0.0, |value| value as f64 / 6.0);
    tenth >= SHARP && energy(restored) <= GAIN * energy(photo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::noise;

    const THERE: Affine = Affine([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);

    fn of(value: impl Fn(usize, usize) -> f32) -> f64 {
        let pixel = |i: usize| [value(i % 256, i / 256).round().clamp(0.0, 255.0) as u8; 3];
        let pixels: Vec<[u8; 3]> = (0..256 * 256).map(pixel).collect();
        damage(View { pixels: &pixels, height: 256, width: 256 }, &THERE, 256)
    }

    fn slope(x: usize, y: usize) -> f32 {
        60.0 + x as f32 / 3.0 + y as f32 / 4.0
    }

    #[test]
    fn edges_are_no_damage_and_noise_dots_and_blocks_are() {
        let edges =
            |x: usize, y: usize| if (x / 37 + y / 29).is_multiple_of(2) { 180.0 } else { 70.0 };
        assert_eq!(of(edges), 0.0);
        assert_eq!(of(slope), 0.0);
        let noisy = of(|x, y| slope(x, y) + 6.0 * noise(x, y));
        assert!((20.0..50.0).contains(&noisy), "{noisy}");
        let dots = |x: usize, y: usize| 40.0 * (x as f32 * 1.5).sin() * (y as f32 * 1.5).sin();
        assert!(of(|x, y| slope(x, y) + dots(x, y)) > 50.0);
        let blocks = of(|x, y| slope(x / 8 * 8, y / 8 * 8));
        assert!(blocks > 30.0, "{blocks}");
    }

    #[test]
    fn texture_between_calm_places_is_no_damage_and_noise_everywhere_is() {
        // A small face: skin is a quarter of it, and all else has fine detail.
        let texture = |x: usize, y: usize| {
            let detail =
                if (x / 16).is_multiple_of(2) && (y / 16).is_multiple_of(2) { 0.5 } else { 3.0 };
            slope(x, y) + detail * noise(x, y)
        };
        assert_eq!(of(texture), 0.0);
        let grain = |x: usize, y: usize| 6.0 * noise(x + 900, y);
        let noisy = of(|x, y| texture(x, y) + grain(x, y));
        assert!((20.0..50.0).contains(&noisy), "{noisy}");
        // Where light is clipped, noise is not seen, and is there all the same.
        let bright = |x: usize, _: usize| if (x / 16).is_multiple_of(2) { 290.0 } else { 128.0 };
        let clipped = of(|x, y| bright(x, y) + grain(x, y));
        assert!((20.0..50.0).contains(&clipped), "{clipped}");
    }

    #[test]
    fn dots_in_rows_and_columns_are_damage_in_a_large_face() {
        let twice = Affine([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]);
        let of = |value: &dyn Fn(usize, usize) -> f32| {
            let pixel = |i: usize| [value(i % 256, i / 256).round().clamp(0.0, 255.0) as u8; 3];
            let pixels: Vec<[u8; 3]> = (0..256 * 256).map(pixel).collect();
            damage(View { pixels: &pixels, height: 256, width: 256 }, &twice, 128)
        };
        let dots = |x: usize, y: usize| {
            slope(x, y) + 30.0 * ((x as f32 * 2.1).sin() + (y as f32 * 2.1).sin())
        };
        assert!(of(&dots) > 300.0, "{}", of(&dots));
        assert_eq!(of(&|x, y| if (x / 37 + y / 29) % 2 == 0 { 180.0 } else { 70.0 }), 0.0);
    }

    #[test]
    fn the_dots_of_a_print_are_averaged_and_noise_is_no_dots() {
        // Dots of 6 pixels, at an angle, on a face of 512 pixels.
        let dots = |x: usize, y: usize| {
            let (x, y) = (x as f32, y as f32);
            let wave = |v: f32| (v * std::f32::consts::TAU / 6.0).cos();
            let ink = wave(0.94 * x + 0.34 * y) + wave(0.94 * y - 0.34 * x);
            if ink > (slope(x as usize / 2, y as usize / 2) - 128.0) / 60.0 { 20.0 } else { 235.0 }
        };
        let picture = |value: &dyn Fn(usize, usize) -> f32| -> Vec<[u8; 3]> {
            let pixel = |i: usize| [value(i % 512, i / 512).round().clamp(0.0, 255.0) as u8; 3];
            (0..512 * 512).map(pixel).collect()
        };
        let view = |pixels| View { pixels, height: 512, width: 512 };
        let half = Affine([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]);
        let printed = picture(&dots);
        assert!(is_dotted(view(&printed), &half, 256));
        let noisy = picture(&|x, y| slope(x / 2, y / 2) + 12.0 * noise(x, y));
        assert!(!is_dotted(view(&noisy), &half, 256));
        let plain = picture(&|x, y| slope(x / 2, y / 2));
        assert!(!is_dotted(view(&plain), &half, 256));

        let (crop, side) = without_dots(view(&printed), &half, 256);
        let before = unrest_inside(&crop_of(view(&printed), &half, 256, SEEN), SEEN);
        let after = unrest_inside(&crop, side);
        assert!(3.0 * after < before, "{before} to {after} at {side}");
        // Light comes where it was.
        let mean = |rows: std::ops::Range<usize>| {
            let values = crop[rows.start * side..rows.end * side].iter().map(|p| f64::from(p[0]));
            values.sum::<f64>() / (rows.len() * side) as f64
        };
        assert!(mean(3 * side / 4..side) > mean(0..side / 4) + 20.0);
    }

    #[test]
    fn a_face_is_sharp_when_nothing_is_gained() {
        let histogram = |detail: f32| {
            let pixel =
                |i: usize| [(128.0 + detail * noise(i % 64, i / 64)).clamp(0.0, 255.0) as u8; 3];
            let pixels: Vec<[u8; 3]> = (0..64 * 64).map(pixel).collect();
            grain::histogram(&pixels, 64, &[1.0; 64 * 64])
        };
        let [soft, sharp, sharper] = [1.0, 12.0, 14.0].map(histogram);
        assert!(is_sharp([&sharp, &sharp]));
        assert!(!is_sharp([&sharp, &sharper]), "something was missing");
        assert!(!is_sharp([&soft, &soft]), "a soft face");
    }
}
