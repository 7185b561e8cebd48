//! `window_attention`: softmax attention of the pixels of a window, head by head.

use std::ops::Range;

use super::attention::{softmax_weights, weighted_mean};
use super::epilogue::Epilogue;
use super::exp::exp;
use super::kernel::Ready;
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use super::workspace::Workspace;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::WindowAttention;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, graph: &Graph) -> Result<Ready> {
    let op: WindowAttention = *step.op()?;
    let bias = graph.param(op.bias).to_f32();
    Ok(Ready::new(size_of_val(&bias[..]), move |io| {
        let others = [io.operand(1), io.operand(2)];
        run_fast(&op, &bias, io.x(), others, io.epilogue, io.output, io.workspace);
    }))
}

/// Makes its twin ready to run.
pub fn twin(step: &Step, graph: &Graph) -> Result<Ready> {
    let op: WindowAttention = *step.op()?;
    let bias = graph.param(op.bias).to_f32();
    Ok(Ready::new(size_of_val(&bias[..]), move |io| {
        let others = [io.operand(1), io.operand(2)];
        run(&op, &bias, io.x(), others, io.epilogue, io.output);
    }))
}

/// What lies inside of `size` of each window along an axis.
fn windows(size: usize, window: usize, offset: usize) -> impl Iterator<Item = Range<usize>> {
    (0..(size + offset).div_ceil(window))
        .map(move |i| (i * window).saturating_sub(offset)..((i + 1) * window - offset).min(size))
}

/// `y[n,c,t] = Σ_s softmax_s(Σ_j q[n,a·D+j,t] · k[n,a·D+j,s] / √D
///     + B[a, t - s + window + margin - 1]) · v[n,c,s]`
/// for `c` in head `a`, over the pixels `s` of the window of `t` and of the margin around it. The
/// twin; sums in f64, one query at a time.
pub fn run(
    op: &WindowAttention,
    bias: &[f32],
    query: &Tensor,
    [key, value]: [&Tensor; 2],
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let WindowAttention { heads, window, offset, margin, .. } = *op;
    let shape = query.shape;
    let width = shape.c / heads;
    let scale = (width as f64).sqrt().recip();
    let of = |axis: usize, t: usize, size: usize| {
        let begin = (t + offset[axis]) / window[axis] * window[axis];
        let end = (begin + window[axis] - offset[axis]).min(size) + margin;
        begin.saturating_sub(offset[axis]) as isize - margin as isize..end as isize
    };
    let sides = window.map(|side| 2 * (side + margin) - 1);
    let distance = |axis: usize, t: usize, s: isize| {
        (t as isize - s + (window[axis] + margin) as isize - 1) as usize
    };
    let plane = shape.plane();
    output.fill_heads(width, |n, head, y| {
        let channels = head * width..(head + 1) * width;
        for t in 0..plane {
            let (h, w) = (t / shape.w, t % shape.w);
            let pixels = of(0, h, shape.h)
                .flat_map(|row| of(1, w, shape.w).map(move |column| (row, column)));
            let score = |(row, column): (isize, isize)| {
                let product =
                    |j| f64::from(query.plane(n, j)[t]) * f64::from(key.at(n, j, row, column));
                let at = (head * sides[0] + distance(0, h, row)) * sides[1];
                let bias = f64::from(bias[at + distance(1, w, column)]);
                channels.clone().map(product).sum::<f64>() * scale + bias
            };
            let weights = softmax_weights(&pixels.clone().map(score).collect::<Vec<_>>());
            for (c, y) in channels.clone().zip(y.chunks_exact_mut(plane)) {
                let values = pixels.clone().map(|(h, w)| f64::from(value.at(n, c, h, w)));
                y[t] = weighted_mean(&weights, values);
            }
        }
        for (c, y) in channels.zip(y.chunks_exact_mut(plane)) {
            epilogue.apply(n, c, 0, y);
        }
    });
}

/// The fast version: the windows beside each other, head by head, at a time; queries, keys and
/// values of a window lie side by side, so that the products over them vectorise.
pub fn run_fast(
    op: &WindowAttention,
    bias: &[f32],
    query: &Tensor,
    [key, value]: [&Tensor; 2],
    epilogue: &Epilogue,
    output: &mut TensorMut,
    workspace: &Workspace,
) {
    let WindowAttention { heads, window, offset, margin, .. } = *op;
    let shape = query.shape;
    let width = shape.c / heads;
    let table: usize = window.map(|side| 2 * (side + margin) - 1).iter().product();
    // All results, band of windows by band: [n, head, band, channel, row, column].
    let mut results = workspace.take(shape.len());
    let mut parts = Vec::new();
    let mut rest = &mut results[..];
    for n in 0..shape.n {
        for head in 0..heads {
            for rows in windows(shape.h, window[0], offset[0]) {
                let (part, after) = rest.split_at_mut(width * rows.len() * shape.w);
                parts.push((n, head, rows, part));
                rest = after;
            }
        }
    }
    team::for_each(parts, |(n, head, rows, part)| {
        let bias = &bias[head * table..][..table];
        let (seen_rows, most) = (rows.len() + 2 * margin, window[1].min(shape.w));
        let (queries, keys) = (rows.len() * most, seen_rows * (most + 2 * margin));
        let mut buffer = workspace.take(2 * width * queries + (2 * width + 1) * keys);
        let (q, others) = buffer.split_at_mut(width * queries);
        let (sums, others) = others.split_at_mut(width * queries);
        let (k, others) = others.split_at_mut(width * keys);
        let (v, scores) = others.split_at_mut(width * keys);
        for columns in windows(shape.w, window[1], offset[1]) {
            let seen = columns.len() + 2 * margin;
            let count = [rows.len() * columns.len(), seen_rows * seen];
            let first = head * width..(head + 1) * width;
            gather(query, n, first.clone(), [&rows, &columns], 0, q);
            gather(key, n, first.clone(), [&rows, &columns], margin, k);
            gather(value, n, first, [&rows, &columns], margin, v);
            let distances = Distances { bias, window, margin, columns: columns.len() };
            vectorize(
                #[inline(always)]
                || attend(&distances, width, count, [&*q, &*k, &*v], scores, sums),
            );
            for (j, sums) in sums.chunks_exact(count[0]).take(width).enumerate() {
                let plane = &mut part[j * rows.len() * shape.w..][..rows.len() * shape.w];
                let lines = plane.chunks_exact_mut(shape.w).zip(sums.chunks_exact(columns.len()));
                for (line, sums) in lines {
                    line[columns.clone()].copy_from_slice(sums);
                }
            }
        }
    });
    let results = &results[..];
    output.fill_planes(|n, c, y| {
        let mut from = (n * shape.c + c / width * width) * shape.plane();
        for rows in windows(shape.h, window[0], offset[0]) {
            let len = rows.len() * shape.w;
            y[rows.start * shape.w..][..len]
                .copy_from_slice(&results[from + c % width * len..][..len]);
            from += width * len;
        }
        epilogue.apply(n, c, 0, y);
    });
}

/// Copies `channels` of a window and of `margin` pixels around it, zeros outside of the picture,
/// channel by channel without gaps.
fn gather(
    x: &Tensor,
    n: usize,
    channels: Range<usize>,
    [rows, columns]: [&Range<usize>; 2],
    margin: usize,
    to: &mut [f32],
) {
    let (height, width) = (x.shape.h, x.shape.w);
    let inside = columns.start.saturating_sub(margin)..(columns.end + margin).min(width);
    // Columns of the margin that lie before the picture.
    let before = margin.saturating_sub(columns.start);
    let mut lines = to.chunks_exact_mut(columns.len() + 2 * margin);
    for channel in channels {
        let plane = x.plane(n, channel);
        for (row, line) in (rows.start..rows.end + 2 * margin).zip(&mut lines) {
            // Counted from `margin` rows above the picture.
            let Some(row) = row.checked_sub(margin).filter(|&row| row < height) else {
                line.fill(0.0);
                continue;
            };
            if margin > 0 {
                line.fill(0.0);
            }
            line[before..before + inside.len()]
                .copy_from_slice(&plane[row * width..][inside.clone()]);
        }
    }
}

/// The bias of a head, by the distance of a query and a key of a window with `columns` columns
/// inside of the picture.
struct Distances<'a> {
    bias: &'a [f32],
    window: [usize; 2],
    margin: usize,
    columns: usize,
}

impl Distances<'_> {
    /// Writes the bias of query `t` and every key.
    #[inline(always)]
    fn write(&self, t: usize, scores: &mut [f32]) {
        let [rows, columns] = self.window.map(|side| side + self.margin);
        let seen = self.columns + 2 * self.margin;
        for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
            let down = t / self.columns + self.margin + rows - 1 - row;
            // The distance falls as the key's column grows.
            let line = &self.bias[down * (2 * columns - 1)..][..2 * columns - 1];
            let last = t % self.columns + self.margin + columns - 1;
            let line = &line[last + 1 - seen..=last];
            for (score, bias) in scores.iter_mut().zip(line.iter().rev()) {
                *score = *bias;
            }
        }
    }
}

/// Attention of so many queries and keys, `[width, count]` each.
#[inline(always)]
fn attend(
    distances: &Distances,
    width: usize,
    [queries, keys]: [usize; 2],
    [q, k, v]: [&[f32]; 3],
    scores: &mut [f32],
    sums: &mut [f32],
) {
    let scale = (width as f32).sqrt().recip();
    let scores = &mut scores[..keys];
    for t in 0..queries {
        distances.write(t, scores);
        for (q, k) in q.chunks_exact(queries).zip(k.chunks_exact(keys)).take(width) {
            let factor = q[t] * scale;
            for (score, k) in scores.iter_mut().zip(k) {
                *score += factor * k;
            }
        }
        let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for score in scores.iter_mut() {
            *score = exp(*score - highest);
        }
        let total: f32 = scores.iter().sum();
        for (sums, v) in sums.chunks_exact_mut(queries).zip(v.chunks_exact(keys)).take(width) {
            sums[t] = dot(scores, v) / total;
        }
    }
}

/// `Σ a·b` in 16 independent sums, which vectorise.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
