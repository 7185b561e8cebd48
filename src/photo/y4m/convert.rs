//! Frames ↔ pictures.

use super::{Chroma, Frame, Header};
use crate::photo::{Picture, Samples16};

impl Header {
    /// Parts of red and blue in the luminance: BT.709 from 720 lines on, BT.601 below, where nobody
    /// knows it better.
    fn weights(&self) -> [f32; 2] {
        let usual = if self.height >= 720 { [0.2126, 0.0722] } else { [0.299, 0.114] };
        self.weights.unwrap_or(usual)
    }

    /// Levels of black and of the way to white, and half of the range of chroma.
    fn range(&self) -> [f32; 3] {
        let unit = (1_u32 << (self.depth - 8)) as f32;
        if self.full_range {
            let most = ((1_u32 << self.depth) - 1) as f32;
            [0.0, most, most / 2.0]
        } else {
            [16.0, 219.0, 112.0].map(|v| v * unit)
        }
    }

    /// The value of no colour.
    fn middle(&self) -> f32 {
        (1_u32 << (self.depth - 1)) as f32
    }

    /// The sample at `i`, over all planes.
    fn sample(&self, planes: &[u8], i: usize) -> f32 {
        match self.sample_bytes() {
            1 => f32::from(planes[i]),
            _ => f32::from(u16::from_le_bytes([planes[2 * i], planes[2 * i + 1]])),
        }
    }

    /// Appends a sample.
    fn push(&self, value: f32, planes: &mut Vec<u8>) {
        // The cast saturates.
        let value = ((value + 0.5) as u32).min((1 << self.depth) - 1) as u16;
        planes.extend(&value.to_le_bytes()[..self.sample_bytes()]);
    }

    /// The frame's RGB.
    pub fn picture(&self, frame: &Frame) -> Picture {
        let (height, width) = (self.height, self.width);
        let rgb = self.colours(frame).flat_map(|p| p.map(|v| (v * 255.0 + 0.5) as u8)).collect();
        Picture { height, width, rgb, alpha: None, icc: None }
    }

    /// The frame's RGB with 16 bits; `None` for a video of 8.
    pub fn samples16(&self, frame: &Frame) -> Option<Samples16> {
        let (height, width) = (self.height, self.width);
        let rgb = || self.colours(frame).flat_map(|p| p.map(|v| (v * 65_535.0 + 0.5) as u16));
        (self.depth > 8).then(|| Samples16 { height, width, rgb: rgb().collect(), alpha: None })
    }

    /// Red, green and blue of every pixel, 0 to 1 and a little beyond.
    fn colours(&self, frame: &Frame) -> impl Iterator<Item = [f32; 3]> {
        let (height, width) = (self.height, self.width);
        let [c_height, c_width] = self.chroma_size();
        let [kr, kb] = self.weights();
        let kg = 1.0 - kr - kb;
        let [black, scale, c_scale] = self.range();
        let (steps, between, middle) = (self.chroma.steps(), self.chroma.between(), self.middle());
        // Where a luma sample lies among chroma samples: the one before and the way to the next.
        let place = move |i: usize, axis: usize, end: usize| {
            let shift = if between[axis] { 0.5 } else { 0.0 };
            let at = ((i as f32 - shift) / steps[axis] as f32).clamp(0.0, (end - 1) as f32);
            (at as usize, (at as usize + 1).min(end - 1), at.fract())
        };
        let columns: Vec<_> = (0..width).map(|x| place(x, 0, c_width)).collect();
        (0..height * width).map(move |i| {
            let (above, below, down) = place(i / width, 1, c_height);
            let (left, right, across) = columns[i % width];
            let l = (self.sample(&frame.planes, i) - black) / scale;
            let sample = |plane: usize| {
                if self.chroma == Chroma::Mono {
                    return 0.0;
                }
                let at = |y: usize, x: usize| {
                    let i = height * width + (plane * c_height + y) * c_width + x;
                    self.sample(&frame.planes, i) - middle
                };
                let row = |y| at(y, left) + across * (at(y, right) - at(y, left));
                let (a, b) = (row(above), row(below));
                (a + down * (b - a)) / c_scale
            };
            let (cb, cr) = (sample(0), sample(1));
            let (red, blue) = (l + cr * (1.0 - kr), l + cb * (1.0 - kb));
            [red, (l - kr * red - kb * blue) / kg, blue]
        })
    }

    /// [`Self::frame_16`] with nothing but 8 bits at hand.
    pub fn frame(&self, picture: &Picture, original: Option<(&Frame, &Picture)>) -> Frame {
        self.frame_16(picture, None, original)
    }

    /// The frame of a picture of this header's size, which was restored from one with the samples
    /// `deep`. Where `picture` is what `original` shows, it keeps its samples: conversion there and
    /// back would change them by rounding.
    pub fn frame_16(
        &self,
        picture: &Picture,
        deep: Option<&Samples16>,
        original: Option<(&Frame, &Picture)>,
    ) -> Frame {
        let (height, width) = (self.height, self.width);
        let [c_height, c_width] = self.chroma_size();
        let [kr, kb] = self.weights();
        let [black, scale, c_scale] = self.range();
        let pixels: &[[u8; 3]] = picture.rgb.as_chunks().0;
        let deep = deep.and_then(|deep| deep.of_result(picture));
        let deep = deep.as_ref().map(|deep| deep.as_chunks::<3>().0);
        let original = original.filter(|(_, seen)| (seen.height, seen.width) == (height, width));
        let same = |i: usize| {
            original.is_some_and(|(_, seen)| seen.rgb.as_chunks::<3>().0[i] == pixels[i])
        };
        let convert = |i: usize| {
            let [red, green, blue] = match deep {
                Some(deep) => deep[i].map(|v| f32::from(v) / 65_535.0),
                None => pixels[i].map(|v| f32::from(v) / 255.0),
            };
            let l = kr * red + (1.0 - kr - kb) * green + kb * blue;
            [l, (blue - l) / (1.0 - kb), (red - l) / (1.0 - kr)]
        };
        let mut planes = Vec::with_capacity(self.frame_bytes());
        for i in 0..height * width {
            let value = match original {
                Some((frame, _)) if same(i) => self.sample(&frame.planes, i),
                _ => black + scale * convert(i)[0],
            };
            self.push(value, &mut planes);
        }
        if self.chroma != Chroma::Mono {
            // A sample between two is their mean; one on a sample takes half of it and a quarter of
            // either neighbour.
            let taps = |axis: usize, at: usize, end: usize| -> Vec<(usize, f32)> {
                let near = |i: usize| i.min(end - 1);
                match (self.chroma.steps()[axis], self.chroma.between()[axis]) {
                    (1, _) => vec![(at, 1.0)],
                    (_, true) => vec![(near(2 * at), 0.5), (near(2 * at + 1), 0.5)],
                    _ => {
                        let middle = near(2 * at);
                        vec![
                            (middle.saturating_sub(1), 0.25),
                            (middle, 0.5),
                            (near(2 * at + 1), 0.25),
                        ]
                    }
                }
            };
            for plane in 0..2 {
                for y in 0..c_height {
                    let rows = taps(1, y, height);
                    for x in 0..c_width {
                        let columns = taps(0, x, width);
                        let all = || {
                            rows.iter().flat_map(|&(row, a)| {
                                columns
                                    .iter()
                                    .map(move |&(column, b)| (row * width + column, a * b))
                            })
                        };
                        let at = height * width + (plane * c_height + y) * c_width + x;
                        let value = match original {
                            Some((frame, _)) if all().all(|(i, _)| same(i)) => {
                                self.sample(&frame.planes, at)
                            }
                            _ => {
                                let sum: f32 =
                                    all().map(|(i, weight)| weight * convert(i)[1 + plane]).sum();
                                self.middle() + c_scale * sum
                            }
                        };
                        self.push(value, &mut planes);
                    }
                }
            }
        }
        let parameters = original.map_or_else(String::new, |(frame, _)| frame.parameters.clone());
        Frame { parameters, planes }
    }
}
