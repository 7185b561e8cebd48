//! Borrowed tensors: a slice per sample, because the samples of a [`View`](crate::plan::View) need
//! not follow each other.

use std::ops::Range;

use super::team;
use crate::tensor::Shape;

/// A tensor to read.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// The shape of the values.
    pub shape: Shape,
    /// `[C, H, W]` without gaps, one per sample.
    pub samples: Vec<&'a [f32]>,
}

impl<'a> Tensor<'a> {
    /// Channel `c` of sample `n`.
    pub fn plane(&self, n: usize, c: usize) -> &'a [f32] {
        let plane = self.shape.plane();
        &self.samples[n][c * plane..][..plane]
    }

    /// `x[n,c,h,w]`, zero outside of the picture.
    pub fn at(&self, n: usize, c: usize, h: isize, w: isize) -> f32 {
        let inside = (0..self.shape.h as isize).contains(&h);
        if !inside || !(0..self.shape.w as isize).contains(&w) {
            return 0.0;
        }
        self.plane(n, c)[h as usize * self.shape.w + w as usize]
    }
}

/// A tensor to write.
#[derive(Debug)]
pub struct TensorMut<'a> {
    /// The shape of the values.
    pub shape: Shape,
    /// `[C, H, W]` without gaps, one per sample.
    pub samples: Vec<&'a mut [f32]>,
}

impl TensorMut<'_> {
    /// Every channel of every sample, with `[n, c]`.
    pub fn planes(&mut self) -> impl Iterator<Item = ([usize; 2], &mut [f32])> {
        let plane = self.shape.plane();
        self.samples.iter_mut().enumerate().flat_map(move |(n, sample)| {
            sample.chunks_exact_mut(plane).enumerate().map(move |(c, values)| ([n, c], values))
        })
    }

    /// Only `channels` of every sample.
    pub fn channels(&mut self, channels: Range<usize>) -> TensorMut<'_> {
        let plane = self.shape.plane();
        let shape = self.shape.with_channels(channels.len());
        let channels = channels.start * plane..channels.end * plane;
        let samples = self.samples.iter_mut().map(|sample| &mut sample[channels.clone()]).collect();
        TensorMut { shape, samples }
    }

    /// Calls `fill(n, c, plane)` for every channel of every sample, on all threads.
    pub fn fill_planes(&mut self, fill: impl Fn(usize, usize, &mut [f32]) + Sync) {
        // A vector's planes hold one value each: let a thread take many.
        let grain = (4096 / self.shape.plane()).max(1);
        let mut planes = self.planes();
        let mut next = || planes.by_ref().take(grain).collect::<Vec<_>>();
        let parts = std::iter::from_fn(|| Some(next()).filter(|planes| !planes.is_empty()));
        team::for_each(parts.collect(), |planes| {
            planes.into_iter().for_each(|([n, c], values)| fill(n, c, values));
        });
    }

    /// Calls `fill(n, head, planes)` for every `width` channels of every sample, on all threads.
    pub fn fill_heads(&mut self, width: usize, fill: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let len = width * self.shape.plane();
        let heads = self.samples.iter_mut().enumerate().flat_map(|(n, sample)| {
            sample.chunks_exact_mut(len).enumerate().map(move |(head, planes)| (n, head, planes))
        });
        team::for_each(heads.collect(), |(n, head, planes)| fill(n, head, planes));
    }
}
