//! Rows of a component at the size of the picture.
//!
//! Twice as many samples are made by a triangle filter, three and four times as many by repetition;
//! weights and rounding are those of libjpeg, so that every sample is the same as there.

use super::frame::{Component, Frame};

/// Writes row `y` of the picture to `to`, which has room for whole MCUs.
pub(super) fn row(frame: &Frame, component: &Component, y: usize, to: &mut [u8]) {
    let (across, down) = (frame.most.0 / component.sampling.0, frame.most.1 / component.sampling.1);
    let source = |row: usize| {
        let start = row * 8 * component.room.0;
        &component.plane[start..start + component.size.0]
    };
    let near = y / down;
    let last = component.size.1 - 1;
    // The next row that lies on the other side of this one.
    let far = if y.is_multiple_of(down) { near.saturating_sub(1) } else { (near + 1).min(last) };
    let width = component.size.0;
    match (across, down) {
        (1, 1) => to[..width].copy_from_slice(source(near)),
        (1, 2) => {
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            for ((to, &near), &far) in to.iter_mut().zip(source(near)).zip(source(far)) {
                *to = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
            }
        }
        (2, 1) if width > 2 => {
            let near = source(near);
            triangle(width, |x| 4 * u16::from(near[x]), [4, 8], to);
        }
        (2, 2) if width > 2 => {
            let (near, far) = (source(near), source(far));
            let sum = |x: usize| 3 * u16::from(near[x]) + u16::from(far[x]);
            triangle(width, sum, [8, 7], to);
        }
        _ => {
            for (to, &value) in to.chunks_exact_mut(across).zip(source(near)) {
                to.fill(value);
            }
        }
    }
}

/// Twice `width` samples: three quarters of the nearer and one of the farther of `sum`, which is 4
/// times a sample. `even` and `odd` are added to samples before rounding down, in sixteenths.
fn triangle(width: usize, sum: impl Fn(usize) -> u16, [even, odd]: [u16; 2], to: &mut [u8]) {
    for x in 0..width {
        let here = sum(x);
        let left = if x == 0 { here } else { sum(x - 1) };
        let right = if x + 1 == width { here } else { sum(x + 1) };
        to[2 * x] = ((3 * here + left + even) >> 4) as u8;
        to[2 * x + 1] = ((3 * here + right + odd) >> 4) as u8;
    }
}
