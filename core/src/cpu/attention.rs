//! `attention`: softmax attention of pixels, head by head.

use super::epilogue::Epilogue;
use super::exp::exp;
use super::kernel::{Quality, Ready};
use super::matmul::{self, Block, PANEL, Panels};
use super::team;
use super::tensor::{Tensor, TensorMut};
use super::vectorize::vectorize;
use super::workspace::Workspace;
use crate::error::Result;
use crate::graph::Graph;
use crate::graph::ops::Attention;
use crate::plan::Step;

/// Makes `step` ready to run.
pub fn prepare(step: &Step, _: &Graph, quality: Quality) -> Result<Ready> {
    let Attention { heads } = *step.op()?;
    Ok(match quality {
        Quality::Fast => Ready::new(0, move |io| {
            run_fast(
                heads,
                io.x(),
                [io.operand(1), io.operand(2)],
                io.epilogue,
                io.output,
                io.workspace,
            );
        }),
        Quality::Twin => Ready::new(0, move |io| {
            run(heads, io.x(), [io.operand(1), io.operand(2)], io.epilogue, io.output);
        }),
    })
}

/// `y[n,c,t] = Σ_s softmax_s(Σ_j q[n,a·D+j,t] · k[n,a·D+j,s] / √D) · v[n,c,s]` for `c` in head `a`.
/// The twin; sums in f64, one query at a time.
pub fn run(
    heads: usize,
    query: &Tensor,
    [key, value]: [&Tensor; 2],
    epilogue: &Epilogue,
    output: &mut TensorMut,
) {
    let width = query.shape.c / heads;
    let scale = (width as f64).sqrt().recip();
    let plane = query.shape.plane();
    output.fill_heads(width, |n, head, y| {
        let channels = head * width..(head + 1) * width;
        for t in 0..plane {
            let score = |s: usize| {
                let product = |j| f64::from(query.plane(n, j)[t]) * f64::from(key.plane(n, j)[s]);
                channels.clone().map(product).sum::<f64>() * scale
            };
            let scores: Vec<f64> = (0..key.shape.plane()).map(score).collect();
            let weights = softmax_weights(&scores);
            for (c, y) in channels.clone().zip(y.chunks_exact_mut(plane)) {
                let values = value.plane(n, c).iter().map(|v| f64::from(*v));
                y[t] = weighted_mean(&weights, values);
            }
        }
        for (c, y) in channels.zip(y.chunks_exact_mut(plane)) {
            epilogue.apply(n, c, 0, y);
        }
    });
}

/// Softmax but for the division by the sum.
pub fn softmax_weights(scores: &[f64]) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter().map(|score| (score - highest).exp()).collect()
}

/// `Σ w·v / Σ w`
pub fn weighted_mean(weights: &[f64], values: impl Iterator<Item = f64>) -> f32 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (weight, value) in weights.iter().zip(values) {
        sum += weight * value;
        total += weight;
    }
    (sum / total) as f32
}

/// Queries that are computed at a time: the columns of both products.
const QUERIES: usize = 64;

/// The fast version: per head and block of queries two matrix products, with all scores of the
/// block between them.
pub fn run_fast(
    heads: usize,
    query: &Tensor,
    [key, value]: [&Tensor; 2],
    epilogue: &Epilogue,
    output: &mut TensorMut,
    workspace: &Workspace,
) {
    let (keys, pixels) = (key.shape.plane(), query.shape.plane());
    let width = query.shape.c / heads;
    let scale = (width as f32).sqrt().recip();
    let parts: Vec<_> = (output.samples.iter_mut().enumerate())
        .flat_map(|(n, sample)| {
            let heads = sample.chunks_exact_mut(width * pixels).enumerate();
            heads.map(move |(head, y)| (n, head * width, y))
        })
        .collect();
    team::for_each(parts, |(n, first, y)| {
        let rows = |x: &Tensor| x.samples[n][first * keys..][..width * keys].to_vec();
        let mut transposed = vec![0.0; width * keys];
        for (j, row) in rows(key).chunks_exact(keys).enumerate() {
            for (to, v) in transposed[j..].iter_mut().step_by(width).zip(row) {
                *to = v * scale;
            }
        }
        let keys_by_width = Panels::new(&transposed, keys, width);
        let width_by_keys = Panels::new(&rows(value), width, keys);
        let block = Block::new(QUERIES.min(pixels));
        let (inputs, scores) = (block.len(width), block.len(keys.next_multiple_of(PANEL)));
        let mut buffer = workspace.take(inputs + scores + block.len(width.next_multiple_of(PANEL)));
        let (q, rest) = buffer.split_at_mut(inputs);
        let (scores, sums) = rest.split_at_mut(scores);
        for t in (0..pixels).step_by(QUERIES) {
            let len = QUERIES.min(pixels - t);
            for (j, row) in q.chunks_exact_mut(block.stride).take(width).enumerate() {
                row[..len].copy_from_slice(&query.plane(n, first + j)[t..t + len]);
                row[len..].fill(0.0);
            }
            matmul::multiply(&keys_by_width, 0..keys.div_ceil(PANEL), q, block, scores);
            let totals = vectorize(
                #[inline(always)]
                || softmax(scores, block, keys),
            );
            matmul::multiply(&width_by_keys, 0..width.div_ceil(PANEL), scores, block, sums);
            for (j, sums) in sums.chunks_exact(block.stride).take(width).enumerate() {
                let y = &mut y[j * pixels + t..][..len];
                for (y, (sum, total)) in y.iter_mut().zip(sums.iter().zip(&totals)) {
                    *y = sum / total;
                }
                epilogue.apply(n, first + j, t, y);
            }
        }
    });
}

/// Each column's `e^(score - highest)`, in place, and the columns' sums.
#[inline(always)]
fn softmax(scores: &mut [f32], block: Block, keys: usize) -> Vec<f32> {
    let mut highest = vec![f32::NEG_INFINITY; block.columns];
    for row in scores.chunks_exact(block.stride).take(keys) {
        for (highest, score) in highest.iter_mut().zip(row) {
            *highest = highest.max(*score);
        }
    }
    let mut totals = vec![0.0; block.columns];
    for row in scores.chunks_exact_mut(block.stride).take(keys) {
        for ((score, highest), total) in row.iter_mut().zip(&highest).zip(&mut totals) {
            *score = exp(*score - highest);
            *total += *score;
        }
    }
    totals
}
