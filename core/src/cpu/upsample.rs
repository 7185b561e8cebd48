//! The resize ×2 that convolutions do in their loads.

use super::tensor::{Tensor, TensorMut};
use crate::plan::Upsample;
use crate::tensor::Shape;

/// The shape of `x` after the resize.
pub fn shape(x: Shape, upsample: Upsample) -> Shape {
    match upsample {
        Upsample::None => x,
        Upsample::Nearest | Upsample::Bilinear => x.with_size(2 * x.h, 2 * x.w),
    }
}

/// Pixel `(h, w)` of the resized channel, zero outside: the twin.
pub fn at(x: &Tensor, upsample: Upsample, [n, c]: [usize; 2], h: isize, w: isize) -> f32 {
    let size = shape(x.shape, upsample);
    let inside = (0..size.h as isize).contains(&h) && (0..size.w as isize).contains(&w);
    match upsample {
        _ if !inside => 0.0,
        Upsample::None => x.at(n, c, h, w),
        Upsample::Nearest => x.at(n, c, h / 2, w / 2),
        Upsample::Bilinear => {
            let [h0, h1] = near_and_far(h as usize, x.shape.h);
            let [w0, w1] = near_and_far(w as usize, x.shape.w);
            let at = |h, w| x.at(n, c, h as isize, w as isize);
            0.75 * (0.75 * at(h0, w0) + 0.25 * at(h0, w1))
                + 0.25 * (0.75 * at(h1, w0) + 0.25 * at(h1, w1))
        }
    }
}

/// Resizes all of `x`.
pub fn run(x: &Tensor, upsample: Upsample, output: &mut TensorMut) {
    let width = output.shape.w;
    output.fill_planes(|n, c, plane| {
        let size = [x.shape.h, x.shape.w];
        let channel = Channel { plane: x.plane(n, c), size, upsample, gain: 1.0 };
        let mut blended = vec![0.0; x.shape.w];
        for (h, row) in plane.chunks_exact_mut(width).enumerate() {
            channel.row(h as isize, 0, &mut blended, row);
        }
    });
}

/// A channel to be read row by row, resized and scaled.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// `[H, W]`
    pub plane: &'a [f32],
    /// Rows and columns of `plane`.
    pub size: [usize; 2],
    /// How it is resized.
    pub upsample: Upsample,
    /// Factor on every value.
    pub gain: f32,
}

impl Channel<'_> {
    /// Row `h` of the resized channel from column `first` on, zero outside. `blended` holds at
    /// least a row of `plane`.
    #[inline(always)]
    pub fn row(&self, h: isize, first: isize, blended: &mut [f32], to: &mut [f32]) {
        let [height, width] = self.size;
        let factor = if self.upsample == Upsample::None { 1 } else { 2 };
        let from = first.max(0);
        let end = (first + to.len() as isize).min((factor * width) as isize);
        if !(0..(factor * height) as isize).contains(&h) || from >= end {
            return to.fill(0.0);
        }
        let inside = (from - first) as usize..(end - first) as usize;
        to[..inside.start].fill(0.0);
        to[inside.end..].fill(0.0);
        let to = &mut to[inside];
        let (h, from, gain) = (h as usize, from as usize, self.gain);
        let source_row = |h: usize| &self.plane[h * width..][..width];
        match self.upsample {
            Upsample::None => {
                to.iter_mut().zip(&source_row(h)[from..]).for_each(|(to, v)| *to = v * gain);
            }
            Upsample::Nearest => {
                let source = source_row(h / 2);
                for (i, to) in to.iter_mut().enumerate() {
                    *to = source[(from + i) / 2] * gain;
                }
            }
            Upsample::Bilinear => {
                let [near, far] = near_and_far(h, height).map(source_row);
                let blended = &mut blended[..width];
                for ((to, near), far) in blended.iter_mut().zip(near).zip(far) {
                    *to = gain * (0.75 * near + 0.25 * far);
                }
                bilinear_row(blended, from, to);
            }
        }
    }

    /// Has the processor load what [`Channel::row`] will read: rows of a picture are too short for
    /// it to foresee the next one.
    #[inline(always)]
    pub fn prefetch(&self, h: isize, first: isize, len: usize) {
        let factor = if self.upsample == Upsample::None { 1 } else { 2 };
        let row = h.div_euclid(factor);
        if (0..self.size[0] as isize).contains(&row) && h % factor == 0 {
            let row = &self.plane[row as usize * self.size[1]..][..self.size[1]];
            let from = (first / factor).max(0) as usize;
            let to = (from + len / factor as usize).min(self.size[1]);
            prefetch(&row[from.min(to)..to]);
        }
    }
}

/// Has the processor load `values` into its caches, where Rust has a way to say so.
#[inline(always)]
pub fn prefetch(values: &[f32]) {
    /// f32 in a cache line.
    const LINE: usize = 16;
    for line in values.chunks(LINE) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch of any address is allowed, and SSE is part of x86-64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}

/// Columns `first..` of a row resized ×2.
#[inline(always)]
pub fn bilinear_row(row: &[f32], first: usize, to: &mut [f32]) {
    let at = |w: usize| {
        let [near, far] = near_and_far(w, row.len());
        0.75 * row[near] + 0.25 * row[far]
    };
    // An odd column and the even one after it read the same two pixels.
    let head = ((first + 1) % 2).min(to.len());
    let (start, rest) = to.split_at_mut(head);
    start.iter_mut().for_each(|to| *to = at(first));
    let (pairs, end) = rest.as_chunks_mut::<2>();
    for (pair, v) in pairs.iter_mut().zip(row[(first + head) / 2..].windows(2)) {
        *pair = [0.75 * v[0] + 0.25 * v[1], 0.25 * v[0] + 0.75 * v[1]];
    }
    let last = first + head + 2 * pairs.len();
    end.iter_mut().for_each(|to| *to = at(last));
}

/// The source samples with weight ¾ and ¼; edges clamp.
#[inline(always)]
fn near_and_far(position: usize, len: usize) -> [usize; 2] {
    let near = position / 2;
    let far =
        if position.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(len - 1) };
    [near, far]
}
