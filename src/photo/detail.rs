//! What a photo's own detail is worth: whether it is sharp already, and how much of it is damage.
//!
//! A network of 256 pixels cannot hold the finest waves of a larger face. What the photo has of them
//! is kept where it stands out of the damage; see `kernels/paste.wgsl`.

use super::align::Affine;
use super::grain;
use super::warp::{View, reach};

/// Noise up to this, in levels, is the rounding and the texture of a clean photo: sharp portraits of
/// 1024 pixels have 0.5 to 1.3.
const CLEAN: f64 = 1.5;
/// The edges of JPEG's blocks.
const BLOCK: usize = 8;
/// Steps at the edges of blocks count so many times as noise: their energy lies on few pixels.
const BLOCK_WEIGHT: f64 = 3.0;
/// Steps up to this, in levels, are chance.
const LEAST_STEP: f64 = 0.15;
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
    let noise = grain::level(&grain::histogram(&pixels, width, &vec![1.0; pixels.len()]));
    let step = BLOCK_WEIGHT * (blockiness(&pixels, width, left) - LEAST_STEP).max(0.0);
    (noise * noise - CLEAN * CLEAN).max(0.0) + step * step
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
        let edges = |x: usize, y: usize| if (x / 37 + y / 29) % 2 == 0 { 180.0 } else { 70.0 };
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
