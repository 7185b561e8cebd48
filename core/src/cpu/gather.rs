//! Rows of the matrix that turns a convolution into a product (`im2col`), a block of columns at a
//! time.

use super::conv_direct::Direct;

/// Consecutive output pixels that read one row of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Row and column of the input that the first of them reads, before the tap is added.
    pub from: [isize; 2],
    /// How many.
    pub len: usize,
}

/// One row of the matrix: a channel of the input, shifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tap {
    /// Which channel.
    pub channel: usize,
    /// Rows and columns from the output's position.
    pub shift: [isize; 2],
}

/// The input of each product of an output of `group`, in the order of the weight.
pub fn taps(path: &Direct, group: usize) -> Vec<Tap> {
    let [_, depth, kh, kw] = path.dims;
    let padding = [path.conv.padding.top, path.conv.padding.left].map(|p| p as isize);
    let shift = |tap: usize, padding: isize| (tap * path.conv.dilation) as isize - padding;
    (0..depth * kh * kw)
        .map(|k| Tap {
            channel: path.first_channel + group * depth + k / (kh * kw),
            shift: [shift(k / kw % kh, padding[0]), shift(k % kw, padding[1])],
        })
        .collect()
}

/// Output pixels `first..first + len`, counted row by row, as runs.
pub fn runs([first, len]: [usize; 2], width: usize, stride: usize) -> Vec<Run> {
    let end = first + len;
    let mut runs = Vec::with_capacity(len / width + 2);
    let mut position = first;
    while position < end {
        let (h, w) = (position / width, position % width);
        let len = (width - w).min(end - position);
        runs.push(Run { from: [(h * stride) as isize, (w * stride) as isize], len });
        position += len;
    }
    runs
}

/// Fills `to` with what `tap` sees of `plane` (`[H, W] = size`) at `runs`, times `gain`; zero
/// outside. `stride` is the distance of two outputs of a run.
#[inline(always)]
pub fn fill(
    plane: &[f32],
    size: [usize; 2],
    gain: f32,
    (runs, stride): (&[Run], usize),
    tap: Tap,
    mut to: &mut [f32],
) {
    let [height, width] = size;
    for run in runs {
        let (now, later) = to.split_at_mut(run.len);
        to = later;
        let [row, column] = [run.from[0] + tap.shift[0], run.from[1] + tap.shift[1]];
        if !(0..height as isize).contains(&row) {
            now.fill(0.0);
            continue;
        }
        // Outputs whose column is inside: 0 ≤ column + i·stride < width.
        let before = ((-column).max(0) as usize).div_ceil(stride).min(run.len);
        let inside = ((width as isize - column).max(0) as usize).div_ceil(stride).min(run.len);
        now[..before].fill(0.0);
        now[inside.max(before)..].fill(0.0);
        if before >= inside {
            continue;
        }
        let start = row as usize * width + (column + (before * stride) as isize) as usize;
        let source = &plane[start..(row as usize + 1) * width];
        let now = &mut now[before..inside];
        if stride == 1 {
            now.iter_mut().zip(source).for_each(|(to, v)| *to = v * gain);
        } else {
            now.iter_mut().zip(source.iter().step_by(stride)).for_each(|(to, v)| *to = v * gain);
        }
    }
    to.fill(0.0);
}
