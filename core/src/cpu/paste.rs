//! `paste`: a face goes into a photo where a mask says so, with the photo's fine detail and grain.

use rayon::prelude::*;

use crate::pixels::noise;

/// Energy is summed over the pixels that are up to so far away.
const NEAR: isize = 2;
/// Three times the pixels of such a square.
const THRICE: f32 = 75.0;

/// What a face is made of besides its own pixels.
#[derive(Clone, Copy, Debug)]
pub struct Fine<'a> {
    /// The photo where the face goes, of the same size as the face.
    pub original: &'a [[u8; 3]],
    /// The crop that the face was restored from, there.
    pub crop: &'a [[u8; 3]],
    /// The variance of the damage of the photo, in levels of luminance.
    pub damage: f32,
}

/// `photo[i] = m·(warped[i] + k·fine[i] + (1 - k)·grain·noise) + (1 - m)·photo[i]`,
/// `m = strength·soft[i]`, `fine = original - crop`, on the area of a photo with rows of `photo_width`
/// pixels whose first pixel is `first` and whose rows have `width` pixels. `k` is 0 without `fine`, 1
/// where nothing is damaged, and otherwise lies between, by how far the energy of the luminance of
/// `fine` in a square of 25 pixels is above three times the damage.
pub fn run(
    photo: &mut [[u8; 3]],
    [photo_width, first, width]: [usize; 3],
    warped: &[[u8; 3]],
    soft: &[f32],
    [strength, grain]: [f32; 2],
    fine: Option<Fine<'_>>,
) {
    let (kept, detail) = match fine {
        Some(fine) => {
            let detail = detail(&fine);
            (kept(&detail, width, fine.damage), detail)
        }
        None => (vec![0.0; warped.len()], vec![[0.0; 3]; warped.len()]),
    };
    for (i, (face, soft)) in warped.iter().zip(soft).enumerate() {
        let at = first + i / width * photo_width + i % width;
        let m = strength * soft;
        let k = kept[i];
        let grain = (1.0 - k) * grain * noise(at % photo_width, at / photo_width);
        photo[at] = std::array::from_fn(|c| {
            let new = f32::from(face[c]) + k * detail[i][c] + grain;
            (m * new + (1.0 - m) * f32::from(photo[at][c]) + 0.5).floor() as u8
        });
    }
}

fn detail(fine: &Fine<'_>) -> Vec<[f32; 3]> {
    let difference = |(photo, crop): (&[u8; 3], &[u8; 3])| {
        std::array::from_fn(|c| f32::from(photo[c]) - f32::from(crop[c]))
    };
    fine.original.iter().zip(fine.crop).map(difference).collect()
}

/// How much of the detail is kept; beyond the area it goes on as at its edge.
fn kept(detail: &[[f32; 3]], width: usize, damage: f32) -> Vec<f32> {
    if damage == 0.0 {
        return vec![1.0; detail.len()];
    }
    let energy = |&[red, green, blue]: &[f32; 3]| (0.25 * red + 0.5 * green + 0.25 * blue).powi(2);
    let energies: Vec<f32> = detail.iter().map(energy).collect();
    let height = detail.len() / width.max(1);
    let inside = |at: usize, by: isize, end: usize| at.saturating_add_signed(by).min(end - 1);
    let part = |i: usize| {
        let (y, x) = (i / width, i % width);
        let mut energy = 0.0;
        for dy in -NEAR..=NEAR {
            let row = inside(y, dy, height) * width;
            energy += (-NEAR..=NEAR).map(|dx| energies[row + inside(x, dx, width)]).sum::<f32>();
        }
        (1.0 - THRICE * damage / energy.max(0.01)).clamp(0.0, 1.0)
    };
    (0..detail.len()).into_par_iter().map(part).collect()
}
