//! Cuts an output into parts that threads fill independently.

use std::ops::Range;

use super::epilogue::Epilogue;
use super::matmul::PANEL;
use super::team;
use super::tensor::TensorMut;

/// Panels of weights that a part has at least, unless its product has fewer.
const FEWEST_PANELS: usize = 4;

/// Some channels of some consecutive pixels of one sample.
#[derive(Debug)]
pub struct Part<'a> {
    /// Which of the products.
    pub product: usize,
    /// The panels of its weights that yield the channels.
    pub panels: Range<usize>,
    /// Sample.
    pub n: usize,
    /// First channel, of the whole output.
    pub first_output: usize,
    /// First pixel, counted row by row.
    pub first_pixel: usize,
    /// The pixels of each channel.
    pub rows: Vec<&'a mut [f32]>,
}

impl Part<'_> {
    /// Pixels of each channel.
    pub fn pixels(&self) -> usize {
        self.rows.first().map_or(0, |row| row.len())
    }

    /// Copies what a product yielded, rows `stride` apart in which every `width` pixels stand at the
    /// beginning of `line` columns, and applies the epilogue.
    pub fn finish(
        &mut self,
        products: &[f32],
        [stride, line, width]: [usize; 3],
        epilogue: &Epilogue,
    ) {
        for (i, (y, row)) in self.rows.iter_mut().zip(products.chunks_exact(stride)).enumerate() {
            for (y, line) in y.chunks_mut(width.max(1)).zip(row.chunks(line.max(1))) {
                y.copy_from_slice(&line[..y.len()]);
            }
            epilogue.apply(self.n, self.first_output + i, self.first_pixel, y);
        }
    }
}

/// Cuts every `pixels` pixels and, when that yields too few parts for all threads, between
/// channels. `products` says how many channels each product yields; their outputs follow each
/// other.
pub fn cut<'a>(output: &'a mut TensorMut, pixels: usize, products: &[usize]) -> Vec<Part<'a>> {
    let shape = output.shape;
    let blocks = shape.plane().div_ceil(pixels);
    let cuts = (2 * team::threads()).div_ceil(blocks * shape.n * products.len().max(1));
    let mut parts = Vec::new();
    for (n, sample) in output.samples.iter_mut().enumerate() {
        let mut planes = sample.chunks_exact_mut(shape.plane());
        let mut first_output = 0;
        for (product, &outputs) in products.iter().enumerate() {
            let panels = outputs.div_ceil(PANEL);
            let height = panels.div_ceil(cuts).max(FEWEST_PANELS);
            for first in (0..panels).step_by(height) {
                let panels = first..(first + height).min(panels);
                let rows = (panels.len() * PANEL).min(outputs - first * PANEL);
                let start = parts.len();
                parts.extend((0..blocks).map(|block| Part {
                    product,
                    panels: panels.clone(),
                    n,
                    first_output,
                    first_pixel: block * pixels,
                    rows: Vec::with_capacity(rows),
                }));
                for plane in planes.by_ref().take(rows) {
                    for (part, row) in parts[start..].iter_mut().zip(plane.chunks_mut(pixels)) {
                        part.rows.push(row);
                    }
                }
                first_output += rows;
            }
        }
    }
    parts
}
